"""The picture is one that any browser reads, and its bars are as long as their values say."""

from xml.etree import ElementTree

import pytest
from benchmarks.plot import Bar, render_svg

SVG = "{http://www.w3.org/2000/svg}"


def draw(*bars: Bar) -> ElementTree.Element:
    return ElementTree.fromstring(render_svg("Cost <of> a call", "µs", bars))


def test_ten_times_as_much_is_one_step_longer_wherever_it_stands() -> None:
    drawn = draw(Bar("a", 20.0, "20"), Bar("b", 200.0, "200"), Bar("c", 2000.0, "2000"))
    a, b, c = (float(bar.get("width", "")) for bar in drawn.iter(f"{SVG}rect"))
    assert b - a == pytest.approx(c - b, abs=0.2)
    assert b - a > 10


def test_every_bar_has_its_name_its_number_and_a_place_within_the_picture() -> None:
    drawn = draw(Bar("llmring", 230.0, "230 µs", is_ours=True), Bar("a & b", 4999.0, "4999 µs"))
    _, _, width, height = (float(number) for number in drawn.get("viewBox", "").split())
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert {"Cost <of> a call", "llmring", "230 µs", "a & b", "4999 µs", "100 µs", "10,000 µs"} <= {*texts}
    for bar in drawn.iter(f"{SVG}rect"):
        assert float(bar.get("x", "")) + float(bar.get("width", "")) < width
        assert float(bar.get("y", "")) + float(bar.get("height", "")) < height


def test_only_our_own_bar_stands_out_on_light_and_on_dark_pages() -> None:
    drawn = draw(Bar("llmring", 230.0, "230", is_ours=True), Bar("other", 1830.0, "1830"))
    assert [bar.get("class") for bar in drawn.iter(f"{SVG}rect")] == ["bar ours", "bar"]
    style = drawn.findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("prefers-color-scheme: dark")
    assert ".ours {" in light
    assert ".ours {" in dark


def test_a_value_on_a_power_of_ten_still_has_a_scale() -> None:
    drawn = draw(Bar("a", 100.0, "100"))
    assert [text.text for text in drawn.iter(f"{SVG}text") if text.get("text-anchor") == "middle"] == [
        "100 µs",
        "1,000 µs",
    ]


def test_no_bars_are_no_picture() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        render_svg("t", "µs", [])
