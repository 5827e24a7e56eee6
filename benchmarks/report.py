"""The tables that `make bench` prints, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.contenders import NEST
from benchmarks.load import Figures

#: area → contender → what each round gave
Results = Mapping[str, Mapping[str, Sequence[Figures]]]


def _median(rounds: Sequence[Figures]) -> Figures:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def speed(results: Results) -> str:
    """Rates and latencies; ratios to the first contender of each discipline and, where it runs, to NestJS.

    A ratio is the median of the rounds' own: both had their turn within seconds, on a machine whose speed changes.
    """
    with_nest = any(NEST in contenders for contenders in results.values())
    rows = []
    for area, contenders in results.items():
        medians = {name: _median(rounds) for name, rounds in contenders.items()}
        first = next(iter(contenders))
        for name, each in medians.items():
            row = [area, name, f"{each['rate']:,.0f}", f"{each['p50']:.1f}", f"{each['p99']:.1f}"]
            row.append(_ratio(contenders[name], contenders[first]))
            if with_nest:
                row.append(_ratio(contenders[name], contenders[NEST]) if NEST in contenders else "")
            rows.append(row)
    header = ["", "contender", "per second", "p50 ms", "p99 ms", "÷ first"]
    return _table([*header, "÷ NestJS"] if with_nest else header, rows)


def _ratio(rounds: Sequence[Figures], others: Sequence[Figures]) -> str:
    ratios = [each["rate"] / other["rate"] for each, other in zip(rounds, others, strict=True)]
    return f"{statistics.median(ratios):.2f}×"


def cpu(results: Results) -> str:
    """Where the CPU of one request goes: milliseconds, program by program."""
    medians = {
        (area, name): _median(rounds) for area, contenders in results.items() for name, rounds in contenders.items()
    }
    found = {title for each in medians.values() for title in each}
    titles = [
        title
        for title in ("client", "gateway", "service", "auth_svc", "users_svc", "RabbitMQ", "PostgreSQL")
        if title in found
    ]
    return _table(
        ["CPU ms per request", "contender", *titles, "sum"],
        [
            [
                area,
                name,
                *(f"{each[title]:.2f}" if title in each else "" for title in titles),
                f"{sum(each.values()):.2f}",
            ]
            for (area, name), each in medians.items()
        ],
    )


def memory(programs: Mapping[str, Sequence[float]]) -> str:
    """Resident memory of every process after the load."""
    return _table(
        ["program", "processes", "MiB each", "MiB"],
        [
            [name, str(len(sizes)), " + ".join(f"{size:.0f}" for size in sizes), f"{sum(sizes):.0f}"]
            for name, sizes in programs.items()
        ],
    )
