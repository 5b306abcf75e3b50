"""HTML as a browser reads it, for tests of what widgets show."""

from html.parser import HTMLParser

EMPTY = ("br", "img")  # tags without an end


class Page(HTMLParser):
    """Text, tags, attributes, list items, bold text and pictures of a page.

    `curve` is the text alternative of the last drawing, None without one; `live` is the text within
    live regions, which a screen reader reads out when it changes. AssertionError for tags that do
    not close.
    """

    def __init__(self, text):
        super().__init__()
        self.text, self.bold, self.live, self.curve = "", "", "", None
        self.tags, self.attributes, self.images, self.notes, self.open = [], [], [], [], []
        self.regions = []  # how many tags were open where each live region began
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self._seen(tag, attributes)
        if tag == "img":
            self.images.append(dict(attributes))
        elif tag == "li":
            self.notes.append("")
        elif tag == "svg":
            self.curve = dict(attributes)["aria-label"]
        if tag not in EMPTY:
            if dict(attributes).get("aria-live") == "polite":
                self.regions.append(len(self.open))
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._seen(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if self.regions and self.regions[-1] == len(self.open):
            self.regions.pop()

    def handle_data(self, data):
        self.text += data
        if self.regions:
            self.live += data
        if "li" in self.open:
            self.notes[-1] += data
        if "b" in self.open and "em" not in self.open:
            self.bold += data

    def _seen(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]


def read_aloud(html):
    """The `Page`; AssertionError where a part of its text is in no live region."""
    page = Page(html)
    assert page.text.strip() and page.live == page.text
    return page
