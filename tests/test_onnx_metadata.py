import json
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fststyle.errors import ModelError
from fststyle.onnx_metadata import read_onnx_metadata, write_onnx_metadata


def test_it_reads_what_the_onnx_package_reads(tiny_style_file: Path) -> None:
    model = onnx.load(tiny_style_file)
    assert read_onnx_metadata(tiny_style_file) == {entry.key: entry.value for entry in model.metadata_props}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=300), max_size=5))
def test_what_the_onnx_package_writes_comes_back(tmp_path: Path, entries: dict[str, str]) -> None:
    graph = onnx.helper.make_graph([], "empty", [], [])
    model = onnx.helper.make_model(graph)
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, tmp_path / "a.onnx")
    assert read_onnx_metadata(tmp_path / "a.onnx") == entries


@pytest.mark.parametrize("content", [b"", b"plain text, no model", bytes(64), b"\xff" * 64])
def test_what_is_no_protobuf_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="damaged or not an ONNX file"):
        read_onnx_metadata(tmp_path / "a.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_damaged(tmp_path: Path, tiny_style_file: Path, share: float) -> None:
    content = tiny_style_file.read_bytes()
    (tmp_path / "a.onnx").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="damaged"):
        read_onnx_metadata(tmp_path / "a.onnx")


def test_the_graph_is_skipped_and_not_read(tmp_path: Path) -> None:
    big = onnx.helper.make_tensor("big", onnx.TensorProto.UINT8, [2**22], bytes(2**22), raw=True)
    model = onnx.helper.make_model(onnx.helper.make_graph([], "big", [], [], [big]))
    onnx.helper.set_model_props(model, {"fststyle": json.dumps({"format": 1})})
    onnx.save(model, tmp_path / "a.onnx")
    assert read_onnx_metadata(tmp_path / "a.onnx") == {"fststyle": '{"format": 1}'}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: No such file"):
        read_onnx_metadata(tmp_path / "a.onnx")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.text(max_size=300), max_size=4),
    st.dictionaries(st.sampled_from("abcd"), st.text(max_size=300), max_size=4),
)
def test_entries_are_set_and_all_else_stays(tmp_path: Path, old: dict[str, str], new: dict[str, str]) -> None:
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.UINT8, [200], bytes(range(200)), raw=True)
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor]), producer_name="someone")
    onnx.helper.set_model_props(model, old)
    path = tmp_path / "a.onnx"
    onnx.save(model, path)
    write_onnx_metadata(path, new)
    assert read_onnx_metadata(path) == {**old, **new}
    written = onnx.load(path)
    assert {entry.key: entry.value for entry in written.metadata_props} == {**old, **new}
    for either in (model, written):
        either.ClearField("metadata_props")
    assert written.SerializeToString() == model.SerializeToString()


def test_setting_what_is_there_already_changes_only_the_order(tiny_style_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(tiny_style_file.read_bytes())
    write_onnx_metadata(path, read_onnx_metadata(path))
    assert sorted(path.read_bytes()) == sorted(tiny_style_file.read_bytes())
    assert read_onnx_metadata(path) == read_onnx_metadata(tiny_style_file)


def test_a_damaged_file_is_not_written_to(tmp_path: Path, tiny_style_file: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(tiny_style_file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="damaged"):
        write_onnx_metadata(path, {"a": "b"})
    assert path.read_bytes() == tiny_style_file.read_bytes()[:1000]
    with pytest.raises(ModelError, match="No such file"):
        write_onnx_metadata(tmp_path / "none.onnx", {"a": "b"})
