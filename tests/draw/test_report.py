import json

from descend.draw import write_report

PICTURES = ("curves", "sensitivity", "times", "trials")


def test_all_files_are_there_and_the_page_comes_first(comparison, tmp_path):
    written = write_report(comparison, tmp_path / "new")
    names = {str(path.relative_to(tmp_path / "new")) for path in written}
    pictures = {
        f"{stem}.{ending}"
        for stem in ("overview", *(f"clouds/{name}" for name in PICTURES))
        for ending in ("png", "svg")
    }
    assert names == {"report.html", "summary.json", *pictures}
    assert written[0].name == "report.html" and all(path.stat().st_size > 500 for path in written)
    assert json.loads((tmp_path / "new" / "summary.json").read_text()) == comparison.to_data()


def test_it_can_be_written_again(comparison, tmp_path):
    first = {path: path.read_bytes() for path in write_report(comparison, tmp_path)}
    second = {path: path.read_bytes() for path in write_report(comparison, tmp_path)}
    assert {p for p in first if p.suffix != ".png"} == {
        p for p in second if first[p] == second[p] and p.suffix != ".png"
    }
