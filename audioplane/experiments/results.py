"""What the records of a table say: our numbers beside the paper's, and a verdict on each of its claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane.experiments import paper
from audioplane.experiments.records import Record
from audioplane.experiments.tables import MEASURES, Claim, Table
from audioplane.metrics.statistics import Difference, paired_over_seeds, spread, unpaired_over_seeds

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 10  # frames drawn together: 0.4 s
TRUTH = "truth"
REPRODUCED, REFUTED, OPEN, MISSING = "reproduced", "not reproduced", "not distinguishable", "no run"
WORDS = {"better": REPRODUCED, "worse": REFUTED, "not distinguishable": OPEN}


@dataclass(frozen=True)
class Judged:
    """A claim, what we found (first minus second, in the measure's unit), and on how many seeds."""

    claim: Claim
    verdict: str
    difference: Difference | None
    paper: float | None
    seeds: int


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
        """One line a number: row, column, measure, ours (mean), sd (over seeds), seeds, paper, difference.

        A difference is given where both are the same measure (not for lip sync, whose scorers differ).
        """
        import pandas as pd

        lines = []
        for row in self.table.rows:
            for column in self.table.columns:
                theirs = self.table.paper(row, column)
                for measure in self.table.measures:
                    title, name, _ = MEASURES[measure]
                    mean, deviation, count, note = self._cell(row.name, column.name, measure)
                    stated = theirs.get(name)
                    comparable = stated is not None and name != "syncnet" and not math.isnan(mean)
                    lines.append(
                        {
                            "row": row.name,
                            "column": column.name,
                            "measure": measure,
                            "title": title,
                            "ours": mean,
                            "sd": deviation,
                            "seeds": count,
                            "note": note,
                            "paper": stated,
                            "difference": mean - stated if comparable and stated is not None else None,
                        }
                    )
        return pd.DataFrame(lines)

    def _cell(self, row: str, column: str, measure: str) -> tuple[float, float, int, str]:
        """Mean, deviation, seeds, and why there is no number."""
        records = self.cells.get((row, column), [])
        values = [_value(record, measure) for record in records]
        if not values and (row, column) in self.films:
            values = [self.films[row, column].get(measure)]
        numbers = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
        if numbers:
            found = spread(numbers)
            return found.mean, found.deviation, found.count, ""
        if any(key[:2] == (row, column) for key in self.failed):
            return math.nan, math.nan, 0, "failed"
        return math.nan, math.nan, 0, next((v for v in values if isinstance(v, str)), "")

    def shown(self, papers: bool = True) -> pd.DataFrame:
        """The table to read: rows as in the paper; a cell is ours (± sd) and, after a bar, the paper's."""
        import pandas as pd

        tidy, several = self.tidy(), len(self.table.columns) > 1
        cells: dict[Any, dict[str, str]] = {}
        for line in tidy.to_dict("records"):
            digits = MEASURES[line["measure"]][2]
            text = line["note"] or _number(line["ours"], line["sd"], digits)
            if papers and line["paper"] is not None and not math.isnan(line["paper"]):
                text = f"{text or '-'} | {line['paper']:g}"
            key = (line["column"], line["title"]) if several else line["title"]
            cells.setdefault(key, {})[line["row"]] = text
        for column, text in self._truths(papers).items():
            cells.setdefault((column, "LSE-C") if several else "LSE-C", {})[TRUTH] = text
        frame = pd.DataFrame(cells, index=[TRUTH, *(row.name for row in self.table.rows)]).fillna("")
        frame = _filled(frame)
        return frame.loc[:, frame.astype(bool).any(axis=0).to_numpy()]

    def _truths(self, papers: bool) -> dict[str, str]:
        """LSE-C of the true clip of each test set, and the paper's."""
        found = {}
        for column in self.table.columns:
            if column.voice or not column.speaker:
                continue
            values = [
                r.measures.get("true_lse_c")
                for (_, where), rs in self.cells.items()
                if where == column.name
                for r in rs
            ]
            numbers = [v for v in values if isinstance(v, float)]
            stated = paper.truth(self.table.data, column.paper)
            if numbers:
                found[column.name] = f"{numbers[0]:.3f}" + (f" | {stated:g}" if papers and stated else "")
        return found

    def verdicts(self) -> pd.DataFrame:
        """One line a claim: what the paper found, what we found with its 95 % interval, and the verdict.

        One seed's interval is over frames alone; the verdict says so.
        """
        import pandas as pd

        lines = []
        for one in self.judged():
            unit = MEASURES.get(one.claim.measure, ("distance to the sound", "", 3))
            found = one.difference
            lines.append(
                {
                    "claim": one.claim.text,
                    "paper": "" if one.paper is None else f"{one.paper:+.3g}",
                    "ours": ""
                    if found is None
                    else f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] {unit[0]}",
                    "seeds": one.seeds,
                    "verdict": one.verdict + (" (one seed)" if one.seeds == 1 else ""),
                }
            )
        return pd.DataFrame(lines)

    def judged(self) -> list[Judged]:
        """Each claim of the table."""
        return [self._judge(claim) for claim in self.table.claims]

    def _judge(self, claim: Claim) -> Judged:
        first, second = ({r.seed: r for r in self.cells.get(cell, [])} for cell in (claim.first, claim.second))
        seeds = sorted(first.keys() & second.keys())
        other = "sync_unrelated" if claim.first == claim.second else claim.measure
        pairs = [(first[s].series.get(claim.measure), second[s].series.get(other)) for s in seeds]
        known = [(np.array(a), np.array(b)) for a, b in pairs if a and b]
        stated = self._stated(claim)
        if not known:
            return Judged(claim, MISSING, None, stated, 0)
        ours, theirs = [a for a, _ in known], [b for _, b in known]
        same_frames = claim.first == claim.second or self._clip(claim.first) == self._clip(claim.second)
        compare = paired_over_seeds if same_frames else unpaired_over_seeds
        found = compare(ours, theirs, BLOCK, higher_is_better=claim.higher_is_better)
        return Judged(claim, WORDS[found.verdict], found, stated, len(known))

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
            return f"Table {self.table.number}: no run"
        one = records[0]
        clips = sorted({f"{r.clip['speaker']} ({r.clip['seconds']:g} s, {r.clip['size']} px)" for r in records})
        scorers = {str(r.measures.get("sync")) for r in records}
        loss = one.config["loss"]["perceptual"]
        return (
            f"Table {self.table.number}. {self.table.title}. Ours: preset {self.preset}, {', '.join(clips)}, "
            f"{self.seeds} seed(s), mean ± standard deviation; protocol '{one.measures['protocol']}'; lip sync by "
            f"{', '.join(sorted(scorers))} (the paper: SyncNet); trained with {loss}; {one.device}; after the bar the "
            f"paper's numbers, of other people and whole frames."
        )

    def markdown(self) -> str:
        """For a terminal or a code host."""
        frame = self.shown()
        if (
            len(self.table.columns) > 1 and len(self.table.measures) > 2
        ):  # one block a test set: few can read 20 columns
            blocks = [
                f"**{name}**\n\n{markdown(_filled(frame.loc[:, name]))}"
                for name in frame.columns.get_level_values(0).unique()
            ]
        else:
            blocks = [markdown(frame)]
        verdicts = markdown(self.verdicts().set_index("claim"))
        return "\n\n".join([*blocks, self.caption(), verdicts])

    def latex(self) -> str:
        """With booktabs; a table environment of its own."""
        frame = self.shown().map(_escape)
        frame.index = [_escape(str(name)) for name in frame.index]
        several = len(self.table.columns) > 1
        names = [[_escape(part) for part in (key if several else (key,))] for key in frame.columns]
        lines = ["\\begin{table}", "\\centering", "\\begin{tabular}{l" + "c" * len(names) + "}", "\\toprule"]
        if several:
            groups: list[list[Any]] = []
            for group, _ in names:
                if groups and groups[-1][0] == group:
                    groups[-1][1] += 1
                else:
                    groups.append([group, 1])
            lines.append(" & " + " & ".join(f"\\multicolumn{{{n}}}{{c}}{{{g}}}" for g, n in groups) + " \\\\")
        lines.append(" & " + " & ".join(name[-1] for name in names) + " \\\\")
        lines.append("\\midrule")
        lines += [
            f"{row} & " + " & ".join(cells) + " \\\\" for row, cells in zip(frame.index, frame.values, strict=True)
        ]
        lines += [
            "\\bottomrule",
            "\\end{tabular}",
            f"\\caption{{{_escape(self.caption())}}}",
            f"\\label{{tab:{self.table.name}}}",
            "\\end{table}",
        ]
        return "\n".join(lines) + "\n"


def _value(record: Record, measure: str) -> Any:
    return record.facts.get(measure) if measure in record.facts else record.measures.get(measure)


def _number(mean: float, deviation: float, digits: int) -> str:
    if math.isnan(mean):
        return ""
    return f"{mean:.{digits}f}" + ("" if math.isnan(deviation) else f" ± {deviation:.{digits}f}")


def _escape(text: str) -> str:
    for plain, escaped in (("&", "\\&"), ("%", "\\%"), ("_", "\\_"), ("±", "$\\pm$"), ("|", "$|$")):
        text = text.replace(plain, escaped)
    return text


def _filled(frame: pd.DataFrame) -> pd.DataFrame:
    """Without rows that say nothing."""
    return frame.loc[frame.astype(bool).any(axis=1).to_numpy()]


def markdown(frame: pd.DataFrame) -> str:
    """A pipe table; bars inside cells become slashes."""
    names = [" ".join(filter(None, key)) if isinstance(key, tuple) else str(key) for key in frame.columns]
    rows: list[Sequence[str]] = [["", *names], ["---"] * (len(names) + 1)]
    rows += [[str(name), *map(str, cells)] for name, cells in zip(frame.index, frame.values, strict=True)]
    return "\n".join("| " + " | ".join(cell.replace(" | ", " / ") for cell in row) + " |" for row in rows)
