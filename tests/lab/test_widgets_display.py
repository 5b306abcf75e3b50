"""Pieces that the widgets share: a sentence where none can be drawn, live regions, boxes."""

import ipywidgets
from html_page import Page

from a3lib.lab.widgets.display import box, explorer, items, live_region, shade, show


def test_a_widget_is_shown_with_a_sentence_for_where_it_cannot_be_drawn(displayed):
    widget = ipywidgets.VBox([ipywidgets.Text()])
    show(widget, "A field and a choice.")
    ((data, _),) = displayed.shown
    assert data["text/plain"] == "A field and a choice."
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id


def test_a_live_region_announces_its_content_politely():
    page = Page(live_region("<b>two</b>", "color:red"))
    assert page.live == "two" and page.bold == "two"
    assert Page("<div>other</div>").live == ""


def test_a_box_shows_its_label_as_text_and_is_marked_by_more_than_its_colour():
    plain, marked = (box("<i>", "50%", "#fff", marked) for marked in (False, True))
    for html in (plain, marked):
        page = Page(html)
        assert page.text == "<i>50%" and "i" not in page.tags
    assert Page(marked).bold == "<i>" and Page(plain).bold == ""
    assert "3px" in marked and "3px" not in plain


def test_letters_in_boxes_stay_black_on_their_ground():
    """A dark theme would make them white."""
    assert "color:#000" in box("a", "", "#fff")


def test_an_explorer_shows_what_its_controls_say_at_once_and_after_each_change():
    field, number = ipywidgets.Text("a"), ipywidgets.IntSlider(2, max=9)
    whole = explorer([field, number], lambda text, count: text * count)
    *controls, output = whole.children
    assert controls == [field, number] and output.value == "aa"
    number.value = 3
    assert output.value == "aaa"
    field.value = "bc"
    assert output.value == "bcbcbc"


def test_a_shade_goes_from_white_to_its_colour():
    assert shade(0.0, (0, 114, 178)) == "rgb(255,255,255)"
    assert shade(0.5, (55, 155, 255)) == "rgb(155,205,255)"
    assert shade(1.0, (0, 114, 178)) == "rgb(0,114,178)"


def test_remarks_are_shown_as_text():
    page = Page(items(["<b>", "two & three"]))
    assert page.notes == ["<b>", "two & three"] and page.bold == ""
