"""Writes the page that answers the claims of the guides, from the kept records.

python benchmarks/claims_page.py > docs/claims.md
"""

import re
import sys
from collections.abc import Sequence

from claims import CLAIMS, Claim
from evidence import Finding, decide, read, show_difference, weigh
from studies import STUDIES

HEAD = """# What the guides claim, and what the data say

Written by `python benchmarks/claims_page.py` from the records in [results](results/README.md); a test compares it with
them.

The five guides to optimization that descend was commissioned from make claims that can be tested. Each is turned into
comparisons that expect one contender, A, to have more of something than another, B. Differences are taken seed by seed;
their intervals are Student's t at the confidence that Holm's correction over the claim's comparisons asks for (95 % for
one). **Bold** is separated from zero in the claim's favour, *italic* against it, on at least 5 seeds: comparisons on
fewer are shown and decide nothing. Metrics count so that more is better.

- **supported**: at least half of the comparisons are separated from zero in the claim's favour, none against it. A
  claim that something *happens* needs one.
- **not supported**: at least half are separated against it, or exclude the size that is claimed, and none is in its
  favour.
- **undecided**: anything else. Two methods that the data do not separate are not equal, and what separates them one way
  here and the other way there has no single answer.

These are small models, trained for seconds to a minute: the answers are about them. Seconds in the records come from a
busy machine and are used for nothing here.

| claim | guides | answer | in favour, undecided, against |
|---|---|---|---|
"""


COMMANDS = """## Commands

`descend report docs/results/NAME` shows a study in full. Each was trained by one command:

| study | command |
|---|---|
"""


def write_page() -> str:
    """The text of ``docs/claims.md``."""
    found = [(claim, weigh(claim.pairs)) for claim in CLAIMS]
    rows = "\n".join(_row(claim, findings) for claim, findings in found)
    sections = "".join(f"\n{_section(claim, findings)}" for claim, findings in found)
    used = dict.fromkeys(name for claim in CLAIMS for name in _studies(claim))
    commands = "\n".join(f"| [{name}](results/{name}) | `{STUDIES[name].command}` |" for name in used)
    return f"{HEAD}{rows}\n{sections}\n{COMMANDS}{commands}\n"


def _row(claim: Claim, findings: Sequence[Finding]) -> str:
    verdict = decide(findings, claim.margin, claim.sometimes)
    counts = ", ".join(str(sum(f.sign == sign for f in findings)) for sign in (1, 0, -1))
    return f"| [{claim.name}](#{_anchor(claim.name)}) | {claim.guides} | **{verdict}** | {counts} |"


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-")


def _section(claim: Claim, findings: Sequence[Finding]) -> str:
    verdict = decide(findings, claim.margin, claim.sometimes)
    parts = [f"## {claim.name}", f"Guides {claim.guides}: {claim.says} **{verdict.capitalize()}.** {claim.remark}"]
    if findings:
        head = "| task | A | B | of what | A − B | seeds |\n|---|---|---|---|---|---|\n"
        parts.append(head + "\n".join(_line(finding) for finding in findings))
    kept = ", ".join(f"[{name}](results/{name})" for name in _studies(claim))
    parts.append(f"Records: {kept}." if kept else "The studies that it needs have not been trained.")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _line(finding: Finding) -> str:
    told = {1: "**{}**", 0: "{}", -1: "*{}*"}[finding.sign].format(show_difference(finding))
    one, other = (
        name if rate is None else f"{name} at {rate:g}"
        for name, rate in zip((finding.one, finding.other), finding.rates, strict=True)
    )
    count = finding.difference.interval.count
    return f"| {finding.result.task.name} | {one} | {other} | {finding.measure.about} | {told} | {count} |"


def _studies(claim: Claim) -> list[str]:
    """The studies of a claim that are kept, in the order in which it speaks of them."""
    named = [side.study for pair in claim.pairs for side in (pair.one, pair.other)]
    return [name for name in dict.fromkeys(named) if read(name) is not None]


if __name__ == "__main__":
    sys.stdout.write(write_page())
