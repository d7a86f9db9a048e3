import sys
import xml.etree.ElementTree as ElementTree

import pytest

from descend.draw.formulas import find_formula, set_math
from descend.errors import MissingExtraError
from descend.optim.catalogue import optimizers


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_every_formula_becomes_a_table_of_its_lines(name):
    rule = optimizers()[name].rule
    root = ElementTree.fromstring(set_math(rule.latex()))
    table = next(element for element in root.iter() if element.tag.endswith("mtable"))
    assert len(table) == len(rule.text().splitlines())
    assert not any("\\" in (element.text or "") or "&" in (element.text or "") for element in root.iter())


def test_options_change_the_formula():
    plain = find_formula("descend.Adam(model.parameters(), lr=0.1)")
    changed = find_formula("descend.Adam(model.parameters(), lr=descend.schedules.cosine(5) * 0.1, amsgrad=True)")
    assert plain.cls == "Adam" and "Kingma" in plain.sources[0] and changed.math != plain.math


def test_other_classes_have_none():
    assert find_formula("Mine(model.parameters(), lr=0.1)") is None
    assert find_formula("descend.NoSuchMethod(model.parameters(), lr=0.1)") is None


def test_without_the_package_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    with pytest.raises(MissingExtraError, match=r"The report needs latex2mathml.*descend\[bench\]"):
        find_formula("descend.Adam(model.parameters(), lr=0.1)")
