"""HTML as a browser reads it, for tests of what widgets show."""

from html.parser import HTMLParser

EMPTY = ("br", "img")  # tags without an end


class Page(HTMLParser):
    """Text, tags, attributes, list items, bold text and pictures of a page; AssertionError for tags that do not close.

    `curve` is the text alternative of the last drawing, None without one.
    """

    def __init__(self, text):
        super().__init__()
        self.text, self.bold, self.curve = "", "", None
        self.tags, self.attributes, self.images, self.notes, self.open = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        if tag == "img":
            self.images.append(dict(attributes))
        elif tag == "li":
            self.notes.append("")
        elif tag == "svg":
            self.curve = dict(attributes)["aria-label"]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "li" in self.open:
            self.notes[-1] += data
        if "b" in self.open and "em" not in self.open:
            self.bold += data
