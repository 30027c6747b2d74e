"""Which pictures are still to be made, decided before the first one is; and how each is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fststyle.errors import OptionError, OutputError
from fststyle.formats import format_for
from fststyle.images import Picture, encode_for_file
from fststyle.serving.folder import Photo, output_folder
from fststyle.serving.journal import Journal, Record, Settings, State, Version
from fststyle.serving.look import Look
from fststyle.serving.names import Job, Names
from fststyle.serving.picture_file import check_target, write
from fststyle.serving.shared_network import check_blend
from fststyle.serving.stages import Stages
from fststyle.styles import StyleInfo


@dataclass
class Plan:
    """``refused`` are the results whose place is taken, each with the reason."""

    jobs: list[Job] = field(default_factory=list)
    done: list[Job] = field(default_factory=list)
    refused: list[tuple[Job, OutputError]] = field(default_factory=list)

    def check(self) -> None:
        """Raises the first refusal, if there is one."""
        if len(self.refused) > 1:
            first = self.refused[0][1]
            raise OutputError(f"{first} (and {len(self.refused) - 1} more like it)") from first
        if self.refused:
            raise self.refused[0][1]


class Planner:
    """Names and writes the results of one run.

    In an output folder a result that an earlier run wrote counts as done, and is not made again, when the file is
    unchanged since and was made from the same version of the photo with the same settings
    (:class:`~fststyle.serving.journal.Journal`). Whatever else stands in a result's place is replaced with ``force``
    only; ``force`` also makes again what is done.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        output: str | None,
        *,
        styles: Sequence[StyleInfo],
        look: Look,
        masks: str = "",
        cycle: bool = False,
        keep_metadata: bool = False,
        force: bool = False,
    ) -> None:
        """``inputs`` and ``output`` are as the user wrote them; ``masks`` is the digest of all that masks do to
        results. With ``cycle`` each photo gets one of the styles, in turn; one that has its result from an earlier run
        stays with that one's style.

        :raises OptionError: several pictures for one file, two styles of one name, or a style that cannot blend as
            ``look`` says.
        :raises OutputError: there is a file where the folder should be.
        """
        self.folder = output_folder(inputs, output)
        self._file = Path(output) if output is not None and self.folder is None else None
        self._keep_metadata, self._force = keep_metadata, force
        names = [style.label for style in styles]
        if len(set(names)) < len(names):
            raise OptionError(f"two styles have one name, which tells their results apart: {', '.join(sorted(names))}")
        for style in styles:
            check_blend(style, look)
        if self._file is not None and len(names) > 1:
            raise OptionError(f"the results of several styles cannot all be written to {output}; name a folder")
        self.journal = Journal(self.folder) if self.folder is not None else None
        self._settings = {
            style.name: Settings(
                style.sha256,
                look.strength,
                look.keep_color,
                look.max_size,
                keep_metadata,
                look.stroke_size,
                look.tile,
                look.blend,
                style.weights,
                masks,
            )
            for style in styles
            if self.journal is not None
        }
        labels = {style.name: style.label for style in styles}
        known = [*self.journal.results()] if self.journal else []
        self._names = Names(self.folder, labels, known, turns=self._kept_turns(known) if cycle else None)

    def plan(self, photos: Sequence[Photo]) -> Plan:
        """What to do for ``photos``, in their order; may be asked again as more arrive.

        :raises OptionError: a result would replace a photo, or its suffix stands for no format.
        """
        plan = Plan()
        jobs = self._names.jobs(photos) if self._file is None else self._names.renamed(photos, self._file)
        for job in jobs:
            if self._done(job):
                plan.done.append(job)
                continue
            try:
                check_target(job.target, force=self._force)
            except OutputError as error:
                plan.refused.append((job, self._explained(job, error)))
            else:
                plan.jobs.append(job)
        return plan

    def write(self, picture: Picture, job: Job, photo: Version, stages: Stages) -> None:
        """The result of ``job``, made from that version of its photo; errors are those of
        :func:`~fststyle.serving.picture_file.write`.
        """
        if self.journal is None:
            write(picture, job.target, force=self._force, keep_metadata=self._keep_metadata, stages=stages)
            return
        with stages.measure("encode"):
            data = encode_for_file(picture, format_for(job.target).name, keep_metadata=self._keep_metadata)
        with stages.measure("write"):
            self.journal.write(
                data,
                job.target,
                source=job.source,
                photo=photo,
                label=job.label,
                settings=self._settings[job.style],
                overwrite=self._force,
            )

    def _kept_turns(self, known: Sequence[Record]) -> dict[str, str]:
        """Which of the styles photos have had, unless all are to be made again."""
        names = {(settings.style_sha256, settings.weights): name for name, settings in self._settings.items()}
        unlabelled = [record for record in known if not record.label]
        had = {record.source: (record.settings.style_sha256, record.settings.weights) for record in unlabelled}
        return {} if self._force else {source: names[style] for source, style in had.items() if style in names}

    def _state(self, job: Job) -> State:
        if self.journal is None:
            return State.MISSING
        return self.journal.state(job.target, job.source, self._settings[job.style])

    def _done(self, job: Job) -> bool:
        return not self._force and self._state(job) is State.DONE

    def _explained(self, job: Job, error: OutputError) -> OutputError:
        state = self._state(job)
        if state in (State.OTHER_PHOTO, State.OTHER_SETTINGS):
            return OutputError(f"{job.target} {state.value}; --force (force=True) makes it again")
        return error
