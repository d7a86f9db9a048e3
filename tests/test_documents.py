"""What the documents show runs and gives what they say."""

import doctest
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if ">>>" in p.read_text()], ids=lambda p: p.name)
def test_examples_give_what_they_say(path: Path):
    result = doctest.testfile(str(path), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_readme_runs_as_it_stands():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    model, signed = names["model"], names["Signed"]
    assert isinstance(model, torch.nn.Module)
    before = [p.detach().clone() for p in model.parameters()]
    signed(model.parameters(), lr=0.01, weight_decay=0.01, decay="decoupled", clip_norm=1.0).step()
    moved = [(old * (1 - 1e-4) - new).abs() for old, new in zip(before, model.parameters(), strict=True)]
    assert all(torch.allclose(m, torch.full_like(m, 0.01), atol=1e-6) for m in moved)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []
