"""What an evaluation found, as JSON, and the part of it that a style's file carries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fststyle.atomic import atomic_write
from fststyle.errors import ModelError, OptionError
from fststyle.onnx_metadata import read_onnx_metadata, write_onnx_metadata
from fststyle.style_folders import DIGESTS_FILE, listed_digests
from fststyle.styles import METADATA_KEY, StyleInfo, parse_metadata
from fststyle.training.evaluate import Evaluation, mean_losses
from fststyle.training.reference import STARTS

FIGURES_KEY, STYLES_KEY = "evaluation", "styles"
"""Among the figures in a file's metadata: what was measured, and, of a palette, the figures of each style by name."""
_DIGITS = 4


def iterations_text(equivalent: int | None, iterations: int) -> str:
    """How equivalent iterations are written; ``iterations`` are those that were run."""
    return f"more than {iterations}" if equivalent is None else str(equivalent)


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """What is embedded, of JSON's types. ``equivalent_iterations`` are null where the optimiser did not come so far.

    :raises OptionError: the optimiser was left out, so that there is no measure of the network.
    """
    if not evaluation.descents:
        raise OptionError("figures are embedded with the iterative optimiser's: leave out --no-iterative")
    setting = evaluation.setting
    return {
        "weights_sha256": evaluation.style.metadata.get("weights_sha256", ""),
        "photos": len(evaluation.photos),
        "size": setting.size,
        "iterations": setting.iterations,
        "equivalent_iterations": {start: evaluation.equivalent(start) for start in STARTS},
        "loss": _losses(evaluation),
        "detectors": {
            finding.detector: {
                "figure": None if finding.figure is None else round(finding.figure, _DIGITS),
                "threshold": finding.threshold,
                "passed": finding.passed,
            }
            for finding in evaluation.findings
        },
        "speed": speed(evaluation),
        "machine": evaluation.machine,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def speed(evaluation: Evaluation) -> dict[str, float | None]:
    """Seconds for one photo, and how many times faster the network is than the optimiser's iterations: all of them,
    and as many as reach its loss. None where that was not measured on this machine.
    """
    iteration = evaluation.iteration_seconds()
    equivalent = evaluation.equivalent("noise") if evaluation.descents else None
    everything = None if iteration is None else iteration * evaluation.setting.iterations
    equal = None if iteration is None or equivalent is None else iteration * equivalent

    def times(seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds / evaluation.seconds, 1)

    return {
        "network_seconds": round(evaluation.seconds, _DIGITS),
        "iteration_seconds": None if iteration is None else round(iteration, _DIGITS),
        "speed_up_at_equal_loss": times(equal),
        "speed_up_over_all_iterations": times(everything),
    }


def report(evaluation: Evaluation) -> dict[str, Any]:
    """All there is to tell, of JSON's types: what is embedded, and behind it photos, curves and the recipe."""
    setting = evaluation.setting
    return {
        "style": evaluation.style.name,
        "painting": str(evaluation.style.painting),
        "weights_sha256": evaluation.style.metadata.get("weights_sha256", ""),
        "recipe": evaluation.recipe.to_dict(),
        "setting": {
            "size": setting.size,
            "photos": len(evaluation.photos),
            "iterations": setting.iterations,
            "seed": setting.seed,
            "precision": "bf16" if setting.bfloat16 else "float32",
        },
        "loss": _losses(evaluation),
        "photos": [
            {"file": name, "network": _rounded(network), "photo": _rounded(untouched)}
            for name, network, untouched in zip(evaluation.names, evaluation.network, evaluation.untouched, strict=True)
        ],
        "iterative": {start: _descent(evaluation, start) for start in evaluation.descents},
        "speed": speed(evaluation),
        "detectors": [finding.to_dict() for finding in evaluation.findings],
        "machine": evaluation.machine,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _losses(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Means over the photos: of what the network made of them, and of the photos as they are."""
    return {
        "network": _rounded(mean_losses(evaluation.network)),
        "photo": _rounded(mean_losses(evaluation.untouched)),
    }


def _descent(evaluation: Evaluation, start: Any) -> dict[str, Any]:
    equivalent = evaluation.equivalent(start)
    names = evaluation.descents[start][0].losses[0]
    return {
        "equivalent_iterations": equivalent,
        "equivalent_iterations_text": iterations_text(equivalent, evaluation.setting.iterations),
        "curve": {name: [round(value, _DIGITS) for value in evaluation.curve(start, name)] for name in names},
    }


def embed(style: StyleInfo, found: Mapping[str, Any]) -> None:
    """Put the :func:`figures` of a style into its ONNX file, whose graph stays as it is, byte for byte; those of a
    palette's style under its name. Where a ``SHA256SUMS`` beside it lists the file, its new digest goes there too.

    :raises ModelError: the file is damaged or not a style, holds another network than was measured, or is not the one
        that ``SHA256SUMS`` lists.
    :raises OutputError: it cannot be written.
    """
    path = style.path
    metadata = parse_metadata(read_onnx_metadata(path), path)
    if metadata.get("weights_sha256", "") != found["weights_sha256"]:
        raise ModelError(f"{path} holds another network than the one that was measured")
    digests = listed_digests(path.parent)
    if path.name in digests and digests[path.name] != _sha256(path):
        raise ModelError(f"{path} is damaged: SHA256SUMS lists another digest")
    stored = metadata.get("figures")
    all_figures: dict[str, Any] = stored if isinstance(stored, dict) else {}
    own = all_figures.setdefault(STYLES_KEY, {}).setdefault(style.name, {}) if style.styles else all_figures
    own[FIGURES_KEY] = dict(found)
    metadata["figures"] = all_figures
    write_onnx_metadata(path, {METADATA_KEY: json.dumps(metadata, ensure_ascii=False)})
    if path.name in digests:
        digests[path.name] = _sha256(path)
        lines = [f"{digest}  {name}\n" for name, digest in digests.items()]
        atomic_write(path.with_name(DIGESTS_FILE), "".join(lines).encode())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rounded(losses: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in losses.items()}
