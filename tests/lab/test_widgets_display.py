"""Pieces that the widgets share: a sentence where none can be drawn, live regions, boxes."""

import ipywidgets
from html_page import Page

from a3lib.lab.widgets.display import box, live_region, show


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
