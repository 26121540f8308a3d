"""What the records of a table say: our numbers beside the paper's, and a verdict on each of its claims.

How they are set, for notebooks, terminals and papers, is `table_text`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane.evaluation.networks import MISSING as NO_WEIGHTS
from audioplane.experiments import paper, table_text
from audioplane.experiments.records import Record
from audioplane.experiments.table_text import OURS, PAPER, Cell
from audioplane.experiments.tables import Claim, Table
from audioplane.metrics import registry
from audioplane.metrics.statistics import BETTER, WORSE, Difference, holm, over_seeds, spread, t_interval

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

TRUTH = "truth"
REPRODUCED, REFUTED, OPEN = "reproduced", "not reproduced", "not distinguishable"
NO_RUN, NOT_MEASURED = "no run", "not measured"
WORDS = {BETTER: REPRODUCED, WORSE: REFUTED}
BESIDE = "timed beside other runs"


@dataclass(frozen=True)
class Judged:
    """A claim, what we found (first minus second, in the measure's unit), on how many seeds, and by these alone."""

    claim: Claim
    verdict: str
    difference: Difference | None
    paper: float | None
    seeds: int
    over_seeds: str = ""


@dataclass(frozen=True)
class Result:
    """A table as it came out.

    Attributes:
        table: which. preset: at which size. cells: (row, column) -> one record a seed. failed: what went wrong, by
            (row, column, seed). films: (row, column) -> measures of other methods' films.
    """

    table: Table
    preset: str
    cells: dict[tuple[str, str], list[Record]]
    failed: dict[tuple[str, str, int], str]
    films: dict[tuple[str, str], dict[str, Any]]

    @property
    def records(self) -> list[Record]:
        """All of them, each once."""
        return list({record.key: record for records in self.cells.values() for record in records}.values())

    @property
    def seeds(self) -> int:
        """The most that a cell has."""
        return max((len(records) for records in self.cells.values()), default=0)

    def tidy(self) -> pd.DataFrame:
        """One line a number.

        Columns: row, column, measure, title, unit, better (higher, lower or nothing), ours (mean), sd (over seeds),
        seeds, note, paper, comparable, difference. The last is given only where both are one measure (`comparable`).
        """
        import pandas as pd

        lines = []
        for row in self.table.rows:
            for column in self.table.columns:
                theirs = self.table.paper(row, column)
                for measure in self.table.measures:
                    metric = registry.find(measure)
                    mean, deviation, count, note = self._cell(row.name, column.name, measure)
                    stated = theirs.get(metric.paper)
                    both = metric.comparable and stated is not None and not math.isnan(mean)
                    lines.append(
                        {
                            "row": row.name,
                            "column": column.name,
                            "measure": measure,
                            "title": metric.title,
                            "unit": metric.unit,
                            "better": {1: "higher", -1: "lower", 0: ""}[metric.sign],
                            "ours": mean,
                            "sd": deviation,
                            "seeds": count,
                            "note": note,
                            "paper": stated,
                            "comparable": metric.comparable,
                            "difference": mean - stated if both and stated is not None else None,
                        }
                    )
        return pd.DataFrame(lines)

    def values(self, row: str, column: str, measure: str) -> list[float]:
        """The numbers of a cell, one a seed."""
        return [float(v) for v in self._said(row, column, measure) if isinstance(v, (int, float)) and math.isfinite(v)]

    def _said(self, row: str, column: str, measure: str) -> list[Any]:
        """What records, or another method's film, hold: numbers, or why there is none."""
        values = [_value(record, measure) for record in self.cells.get((row, column), [])]
        if not values and (row, column) in self.films:
            values = [self.films[row, column].get(measure)]
        return values

    def _cell(self, row: str, column: str, measure: str) -> tuple[float, float, int, str]:
        """Mean, deviation, seeds, and why there is no number."""
        values, numbers = self._said(row, column, measure), self.values(row, column, measure)
        if numbers:
            found = spread(numbers)
            return found.mean, found.deviation, found.count, ""
        if any(key[:2] == (row, column) for key in self.failed):
            return math.nan, math.nan, 0, "failed"
        return math.nan, math.nan, 0, next((v for v in values if isinstance(v, str)), "")

    def layout(self) -> list[Cell]:
        """The table's cells, to be set."""
        found, tidy = [], self.tidy()
        for column in self.table.columns:
            found += self._truth(column.name)
            lines = [line for line in tidy.to_dict("records") if line["column"] == column.name]
            best = _best(lines) if not any(row.speaker for row in self.table.rows) else set()
            for line in lines:
                metric, place = registry.find(line["measure"]), (line["measure"], line["row"])
                text = _number(line["ours"], line["sd"], metric.digits) or (
                    "failed" if line["note"] == "failed" else ""
                )
                found.append(Cell(column.name, line["row"], metric.heading, OURS, text, (OURS, *place) in best))
                if line["paper"] is not None and not math.isnan(line["paper"]):
                    bold = (PAPER, *place) in best
                    found.append(Cell(column.name, line["row"], metric.heading, PAPER, f"{line['paper']:g}", bold))
        return found

    def frame(self) -> pd.DataFrame:
        """The table to read, as texts: each measure has a column "ours", mean ± sd, and, where it can, "paper"."""
        return table_text.frame(self.layout())

    def shown(self) -> Styler:
        """The same for a notebook, the best of each column in bold."""
        return table_text.styled(self.layout(), self.table.name)

    def _truth(self, column: str) -> list[Cell]:
        """LSE-C of the true clip of a test set, and the paper's, in a row that knows nothing else."""
        own = next(one for one in self.table.columns if one.name == column)
        found = [Cell(column, TRUTH, registry.find(name).heading, OURS, "") for name in self.table.measures]
        if own.voice or not own.speaker or "lse_c" not in self.table.measures:
            return found
        records = [r for (_, where), rs in self.cells.items() if where == column for r in rs]
        values = [v for r in records if isinstance(v := r.measures.get("true_lse_c"), float)]
        stated = paper.truth(self.table.numbers.get(self.table.data, {}), own.paper)
        heading = registry.find("lse_c").heading
        found += [Cell(column, TRUTH, heading, OURS, f"{values[0]:.3f}")] if values else []
        return found + ([Cell(column, TRUTH, heading, PAPER, f"{stated:g}")] if values and stated else [])

    def verdicts(self) -> pd.DataFrame:
        """One line a claim: what the paper found, what we found with its 95 % interval, and the verdict.

        The interval is that of other seeds and other sentences together; "seeds alone" is Student's t over the paired
        seeds on these very sentences, and how many of them have the claimed sign. The verdict goes by p, corrected for
        the number of claims; what stands beside is corrected on its own. With one seed it is over frames alone, and
        says so.
        """
        import pandas as pd

        lines = []
        for one in self.judged():
            metric, found = registry.find(one.claim.measure), one.difference
            ours = "" if found is None else f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] {metric.heading}"
            lines.append(
                {
                    "claim": one.claim.text,
                    "paper": "" if one.paper is None else f"{one.paper:+.3g}",
                    "ours": ours,
                    "seeds alone": one.over_seeds,
                    "p": "" if found is None else f"{found.p:.3f}" if found.p >= 0.001 else "< 0.001",
                    "seeds": one.seeds,
                    "role": "beside" if one.claim.beside else "verdict",
                    "verdict": one.verdict + (" (one seed)" if one.seeds == 1 else ""),
                }
            )
        return pd.DataFrame(lines, columns=["claim", "paper", "ours", "seeds alone", "p", "seeds", "role", "verdict"])

    def judged(self) -> list[Judged]:
        """Each claim of the table, over seeds and frames, corrected for their number (`metrics.statistics`)."""
        found = [self._difference(claim) for claim in self.table.claims]
        corrected = {
            beside: iter(
                holm(
                    [
                        one
                        for claim, (one, _) in zip(self.table.claims, found, strict=True)
                        if one is not None and claim.beside == beside
                    ]
                )
            )
            for beside in (False, True)
        }
        judged = []
        for claim, (difference, pairs) in zip(self.table.claims, found, strict=True):
            one = None if difference is None else next(corrected[claim.beside])
            ran = all(self.cells.get(cell) for cell in (claim.first, claim.second))
            missing = NOT_MEASURED if ran else NO_RUN
            verdict = missing if one is None else WORDS.get(one.verdict, OPEN)
            judged.append(Judged(claim, verdict, one, self._stated(claim), len(pairs), _seeds_alone(claim, pairs)))
        return judged

    def _difference(self, claim: Claim) -> tuple[Difference | None, list[tuple[float, float]]]:
        """First minus second in a claim's measure, paired by seed; and the means of each pair."""
        first, second = ({r.seed: r for r in self.cells.get(cell, [])} for cell in (claim.first, claim.second))
        other = "sync_unrelated" if claim.first == claim.second else claim.measure
        pairs = [
            (first[s].series.get(claim.measure), second[s].series.get(other))
            for s in sorted(first.keys() & second.keys())
        ]
        known = [(np.array(a, float), np.array(b, float)) for a, b in pairs if a and b]
        if not known:
            return None, []
        same_frames = claim.first == claim.second or self._clip(claim.first) == self._clip(claim.second)
        ours, theirs = [a for a, _ in known], [b for _, b in known]
        means = [(float(np.nanmean(a)), float(np.nanmean(b))) for a, b in known]
        return over_seeds(ours, theirs, claim.higher_is_better, same_frames), means

    def _clip(self, cell: tuple[str, str]) -> Any:
        record = self.cells[cell][0]
        return record.clip, record.driven

    def _stated(self, claim: Claim) -> float | None:
        """The paper's difference, where it gives both numbers."""
        rows, columns = {row.name: row for row in self.table.rows}, {one.name: one for one in self.table.columns}
        cells = (claim.first, claim.second)
        both = [self.table.paper(rows[row], columns[column]).get(claim.paper) for row, column in cells]
        if both[0] is None or both[1] is None or claim.first == claim.second:
            return None
        return both[0] - both[1]

    def caption(self) -> str:
        """What a reader must know to read the numbers."""
        records = self.records
        if not records:
            return f"{self.table.label}: no run"
        one = records[0]
        clips = sorted({f"{r.clip['speaker']} ({r.clip['seconds']:g} s, {_size(r)} px)" for r in records})
        scorers = {str(r.measures.get("sync")) for r in records}
        losses = sorted({str(r.facts.get("perceptual", r.config["loss"]["perceptual"])) for r in records})
        devices = sorted({r.device for r in records})
        counts = sorted({len(own) for own in self.cells.values() if own})
        seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
        said = [
            f"{self.table.label}. {self.table.title}. Ours: preset {self.preset}, {', '.join(clips)}, "
            f"{seeds} seed(s), mean ± standard deviation; protocol '{one.measures['protocol']}'; lip sync by "
            f"{', '.join(sorted(scorers))} (the paper: SyncNet); trained with {' or '.join(losses)}; "
            f"{', '.join(devices)}. The paper's "
            f"numbers are of other people, whole frames and other machines: compare differences between rows"
        ]
        return "; ".join([*said, *self._left_out(), *self._to_run_again()]) + "."

    def _to_run_again(self) -> list[str]:
        """Which rows have no run."""
        rows = [row.name for row in self.table.rows if row.settings is not None]
        none = [row for row in rows if not any(own for (name, _), own in self.cells.items() if name == row)]
        return [f"no run yet of {', '.join(none)}: to be run"] if none else []

    def _left_out(self) -> list[str]:
        """Why whole columns have no number."""
        tidy, found = self.tidy(), []
        for measure, lines in tidy.groupby("measure", sort=False):
            reasons = [note for note in lines["note"] if note and note != "failed"]
            if reasons and lines["ours"].isna().to_numpy().all():
                short = NO_WEIGHTS if reasons[0].startswith(NO_WEIGHTS) else reasons[0]
                found.append(f"{registry.find(str(measure)).title}: {short}")
        return found

    def markdown(self) -> str:
        """For a terminal or a code host."""
        verdicts = table_text.pipe_table(self.verdicts().set_index("claim"))
        return "\n\n".join([*table_text.markdown(self.layout()), self.caption(), verdicts])

    def latex(self) -> str:
        """A table environment of its own; LaTeX puts a number of its own before the paper's."""
        caption = self.caption() if self.table.is_study else self.caption().replace("Table", "The paper's Table", 1)
        return table_text.latex(self.layout(), caption, f"tab:{self.table.name}")

    def save(self, folder: Path) -> list[Path]:
        """Writes the table as Markdown, CSV (one line a number) and LaTeX, under what users type for it."""
        texts = {"md": self.markdown() + "\n", "csv": self.tidy().to_csv(index=False), "tex": self.latex()}
        return table_text.save(texts, self.table.key, folder)


def _best(lines: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(ours or paper, measure, row) of the best of each column; nothing where fewer than two can be compared."""
    found = set()
    for measure in {line["measure"] for line in lines}:
        sign = registry.find(measure).sign
        for kind, key in ((OURS, "ours"), (PAPER, "paper")):
            values = {line["row"]: line[key] for line in lines if line["measure"] == measure}
            known = {row: sign * v for row, v in values.items() if v is not None and not math.isnan(v)}
            if sign and len(known) > 1:
                found |= {(kind, measure, row) for row, value in known.items() if value == max(known.values())}
    return found


def _size(record: Record) -> int:
    """Pixels of a side of what was learnt and compared: a film may be larger."""
    return min(record.clip["size"], record.config["schedule"]["size"])


def _value(record: Record, measure: str) -> Any:
    if measure == "fps" and "fps" in record.facts and "fps_device" not in record.facts:
        return BESIDE  # by an older version: not the head's own speed
    return record.facts.get(measure) if measure in record.facts else record.measures.get(measure)


def _seeds_alone(claim: Claim, pairs: list[tuple[float, float]]) -> str:
    """Student's t interval over paired seeds, and how many have the claimed sign: "[+0.02, +0.15], 5 of 5"."""
    if len(pairs) < 2:
        return ""
    ours, theirs = zip(*pairs, strict=True)
    found = t_interval(ours, theirs, claim.higher_is_better)
    right = sum((a > b) == claim.higher_is_better for a, b in pairs if a != b)
    return f"[{found.low:+.3f}, {found.high:+.3f}], {right} of {len(pairs)}"


def _number(mean: float, deviation: float, digits: int) -> str:
    if math.isnan(mean):
        return ""
    return f"{mean:.{digits}f}" + ("" if math.isnan(deviation) else f" ± {deviation:.{digits}f}")
