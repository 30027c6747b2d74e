"""An evaluation for people: a card in Markdown and the optimiser's curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fststyle.atomic import atomic_path
from fststyle.training.detectors import Finding
from fststyle.training.evaluate import Evaluation, mean_losses
from fststyle.training.figures import iterations_text, speed
from fststyle.training.reference import STARTS, Start

START_NAMES: dict[Start, str] = {"noise": "white noise", "photo": "the photo"}
_COLOURS: dict[Start, str] = {"noise": "tab:blue", "photo": "tab:green"}
_LABELS: dict[Start, dict[str, Any]] = {  # apart even where both stand at about the same iteration
    "noise": {"xytext": (4, 5), "ha": "left", "color": "tab:blue"},
    "photo": {"xytext": (-4, -13), "ha": "right", "color": "tab:green"},
}


def write_curves(evaluation: Evaluation, path: Path) -> None:
    """Draw as PNG the mean loss of the optimiser by iteration, with the network's and the untouched photo's as lines.

    :raises OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    network = mean_losses(evaluation.network)["total"]
    for start in evaluation.descents:
        axes.plot(evaluation.curve(start), color=_COLOURS[start], label=f"optimiser from {START_NAMES[start]}")
        equivalent = evaluation.equivalent(start)
        if equivalent is not None:
            axes.plot([equivalent], [network], "o", color=_COLOURS[start])
            axes.annotate(str(equivalent), (equivalent, network), textcoords="offset points", **_LABELS[start])
    axes.axhline(network, color="tab:red", label=f"fast network: {network:.3f}")
    untouched = mean_losses(evaluation.untouched)["total"]
    axes.axhline(untouched, color="grey", linestyle="--", label=f"untouched photo: {untouched:.3f}")
    axes.set(xlabel="iteration", ylabel="mean loss", yscale="log", title=_title(evaluation))
    # Without a line search the first steps can overshoot by any amount, which would flatten all the rest.
    axes.set_ylim(top=1.5 * max([untouched, network, *(evaluation.curve(start)[0] for start in evaluation.descents)]))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _shares(layers: Mapping[str, float]) -> str:
    """Names, with their shares where these differ."""
    if len(set(layers.values())) == 1:
        return ", ".join(layers)
    return ", ".join(f"{name} ({share:g})" for name, share in layers.items())


def _title(evaluation: Evaluation) -> str:
    size = evaluation.setting.size
    return f"{evaluation.style.name}: {_count(evaluation)} at {size} x {size} pixels"


def _count(evaluation: Evaluation) -> str:
    return "1 photo" if len(evaluation.photos) == 1 else f"{len(evaluation.photos)} photos"


def card(evaluation: Evaluation, *, curves: str | None, strip: str) -> str:
    """Markdown; ``curves`` and ``strip`` are the pictures' file names."""
    style, setting, recipe = evaluation.style, evaluation.setting, evaluation.recipe
    sections = [
        f"# {style.name}",
        f"Painting: {style.painting or 'not named'} ({style.painting.licence or 'licence not given'}). "
        f"Preset {style.preset or 'not named'}, {style.metadata.get('parameters', 0):,} parameters, "
        f"{style.bytes / 1e6:.1f} MB.",
        f"Trained for {recipe.steps:,} steps of {recipe.batch} photos. Loss of {recipe.vgg} ({recipe.pooling} "
        f"pooling): content weight {recipe.content_weight:g} on {_shares(recipe.content_layers)}; style weight "
        f"{recipe.style_weight:g} on {_shares(recipe.style_layers)}; total variation {recipe.tv_weight:g}; style "
        f"scale {recipe.style_scale:g}.",
        f"![photo, painting, network, optimiser]({strip})",
        "## Losses",
        _losses(evaluation),
        *_equivalents(evaluation),
        *([f"![loss by iteration]({curves})"] if curves else []),
        "## Faults",
        _faults(evaluation.findings),
        "## How it was measured",
        f"Means over {_count(evaluation)} that the network was not trained on "
        f"({', '.join(evaluation.names)}), middle squares at {setting.size} x {setting.size} pixels. The "
        "network's result is that of the ONNX file, 8 bits a value; losses are taken in float32 and are those of "
        "training, each part with its weight.",
        *([_optimiser(evaluation)] if evaluation.descents else []),
        f"Machine: {evaluation.machine}.",
    ]
    return "\n\n".join(sections) + "\n"


def _optimiser(evaluation: Evaluation) -> str:
    setting = evaluation.setting
    return (
        "The optimiser is torch's L-BFGS with learning rate 1, a history of 100 and no line search, one evaluation an "
        "iteration; its pictures are not clipped while it runs. "
        f"Seed {setting.seed}{', its VGG in bfloat16' if setting.bfloat16 else ''}."
    )


def _losses(evaluation: Evaluation) -> str:
    rows = {"network": mean_losses(evaluation.network), "untouched photo": mean_losses(evaluation.untouched)}
    for start in evaluation.descents:
        last = {name: evaluation.curve(start, name)[-1] for name in rows["network"]}
        rows[f"{evaluation.setting.iterations} iterations from {START_NAMES[start]}"] = last
    names = list(rows["network"])
    lines = [f"| | {' | '.join(name.replace('_', ' ') for name in names)} |", f"|---|{'---:|' * len(names)}"]
    for row, losses in rows.items():
        lines.append(f"| {row} | {' | '.join(f'{losses[name]:.3f}' for name in names)} |")
    return "\n".join(lines)


def _equivalents(evaluation: Evaluation) -> list[str]:
    network = f"The network takes {evaluation.seconds * 1000:.0f} ms for a photo"
    if not evaluation.descents:
        return ["The iterative optimiser was left out, so equivalent iterations are not measured.", f"{network}."]
    quoted, other = (iterations_text(evaluation.equivalent(start), evaluation.setting.iterations) for start in STARTS)
    times = speed(evaluation)
    if times["iteration_seconds"] is None:
        network += "; the optimiser ran on another machine, so they are not compared"
    else:
        network += f", the optimiser {times['iteration_seconds']:.2f} s for an iteration"
    if times["speed_up_at_equal_loss"] is not None:
        network += f": {times['speed_up_at_equal_loss']:,.0f} times as long for an equal loss"
    return [
        f"**Equivalent iterations: {quoted}** from white noise ({other} from the photo): so many the optimiser needs "
        "until its mean loss is the network's.",
        f"{network}.",
    ]


def _faults(findings: Sequence[Finding]) -> str:
    lines = ["| detector | figure | at most | |", "|---|---:|---:|---|"]
    for finding in findings:
        figure = "-" if finding.figure is None else f"{finding.figure:.2f}"
        verdict = {True: "passes", False: "**fault**", None: "not measured"}[finding.passed]
        lines.append(f"| {finding.detector} | {figure} | {finding.threshold:g} | {verdict}: {finding.note} |")
    return "\n".join(lines)
