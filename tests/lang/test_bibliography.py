"""The sources that methods refer to."""

import re

import descend
from descend.lang import rule
from descend.lang.bibliography import SOURCES
from descend.lang.woven import WOVEN_HYPERS, WOVEN_SOURCES


def test_every_method_cites_what_is_listed():
    for name, cls in descend.optimizers().items():
        assert cls.rule.cite, name
        assert set(cls.rule.cite) <= set(SOURCES), name


def test_every_woven_option_cites_what_is_listed():
    assert set(WOVEN_SOURCES) == set(WOVEN_HYPERS)
    assert set(WOVEN_SOURCES.values()) <= set(SOURCES)


def test_what_the_guides_refer_to_is_listed():
    guides = {"robbins1951", "polyak1964", "hinton2012", "kingma2015", "loshchilov2017", "loshchilov2019", "you2020"}
    assert {*guides, "ruder2016", "zhang2019"} <= set(SOURCES)


def test_a_key_says_whose_and_when():
    for key, text in SOURCES.items():
        name, year = re.fullmatch(r"([a-z]+)(\d{4})", key).groups()
        assert text.lower().startswith(name) and f"({year})" in text


def test_a_key_of_ones_own_stands_for_itself():
    @rule(cite=["kingma2015", "my notebook, page 3"])
    def f(p, g):
        return -g

    assert f.sources == [SOURCES["kingma2015"], "my notebook, page 3"]
