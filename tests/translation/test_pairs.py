"""Loading pairs by the name of a list, from files and from URLs; what is dropped and refused."""

import hashlib
import http.server
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.translation import pairs as pairs_module
from a3lib.translation.pairs import WORD_LISTS, Pairs, load_pairs, parse_pairs

properties = settings(deadline=None, max_examples=100, database=None, derandomize=True)

# shipped lists


@pytest.mark.parametrize(("name", "size"), [("small", 3198), ("large", 22402)])
def test_shipped_lists_have_the_sizes_of_the_course(name, size):
    pairs = load_pairs(name)
    assert len(pairs) == len(set(pairs)) == len(pairs.words) == size
    assert pairs.dropped == {}
    assert f"{size:,} pairs kept" in pairs.report
    assert "no line dropped" in pairs.report


@pytest.mark.parametrize("name", WORD_LISTS)
def test_every_list_loads_by_its_name(name):
    pairs = load_pairs(name)
    assert pairs.name == name
    assert len(pairs) == len(pairs.words) > 0


# files

COURSE = [
    "quite itequay",
    "the ethay",
    "quite uiteqay",  # contradicts the first line: both are kept
    "the ethay",  # repeated
    "isn't isn'tway",
    "b2 2bay",
    "",
    "three words here",
    "alone",
    "Upper UPPERway",
    "air-conditioning airway-onditioningcay",
    "café afécay",
]
KEPT = (
    ("quite", "itequay"),
    ("the", "ethay"),
    ("quite", "uiteqay"),
    ("upper", "upperway"),
    ("air-conditioning", "airway-onditioningcay"),
)


def count(pairs, reason):
    return sum(number for text, number in pairs.dropped.items() if reason in text)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("kind", [str, Path])
def test_file_of_the_course(tmp_path, newline, last, encoding, kind):
    path = tmp_path / "course.txt"
    path.write_bytes((newline.join(COURSE) + (newline if last else "")).encode(encoding))
    pairs = load_pairs(kind(path))
    assert pairs.pairs == KEPT
    assert pairs.words == ["air-conditioning", "quite", "the", "upper"]
    assert count(pairs, "repeated") == 1
    assert count(pairs, "characters") == 3
    assert count(pairs, "two words") == 2
    assert count(pairs, "blank") == 1
    assert len(pairs) + sum(pairs.dropped.values()) == len(COURSE)


def test_report_tells_every_count(tmp_path):
    path = tmp_path / "course.txt"
    path.write_text("\n".join(COURSE), encoding="utf8")
    pairs = load_pairs(path)
    assert str(path) in pairs.report
    assert "5 pairs kept" in pairs.report
    for reason, number in pairs.dropped.items():
        assert f"{number} {reason}" in pairs.report


def test_file_of_the_large_size_keeps_both_targets_of_contradictory_words(tmp_path):
    """Like the course's: 22,402 pairs of 22,383 words; repeated lines count once."""
    pairs = load_pairs("large").pairs[:22_383]
    other = [
        (word, word + "ay")
        for word, translation in pairs
        if word.startswith("qu") and translation != word
    ][:19]
    path = tmp_path / "large"
    path.write_text(
        "".join(f"{a} {b}\n" for a, b in (*pairs, *other, *pairs[:100])), encoding="utf8"
    )
    loaded = load_pairs(path)
    assert (len(loaded), len(loaded.words)) == (22_402, 22_383)
    assert count(loaded, "repeated") == 100


valid_lines = st.tuples(
    st.text("abz-", min_size=1, max_size=3), st.text("ay-", min_size=1, max_size=3)
).map(" ".join)
lines = st.lists(
    st.one_of(valid_lines, st.sampled_from(["", "a", "a b c", "a1 b", "it's itsway", "A B"])),
    min_size=1,
)


@properties
@given(lines)
def test_each_line_is_kept_or_counted(some):
    content = "\n".join([*some, "the ethay"]).encode()
    pairs = parse_pairs(content, "some")
    assert len(pairs) + sum(pairs.dropped.values()) == len(some) + 1
    assert len(set(pairs)) == len(pairs)
    again = parse_pairs("\n".join(map(" ".join, pairs)).encode(), "again")
    assert again.pairs == pairs.pairs
    assert again.dropped == {}
    assert parse_pairs(content + b"\n" + content, "twice").pairs == pairs.pairs


def test_hash_of_the_data_depends_on_pairs_and_order_alone():
    a, b = ("to", "otay"), ("be", "ebay")
    assert Pairs("one", (a, b)).sha256 == Pairs("two", (a, b), {"blank": 1}).sha256
    assert (
        len(
            {
                Pairs("x", some).sha256
                for some in ((a, b), (b, a), (a,), ((a[0], b[1]), (b[0], a[1])))
            }
        )
        == 4
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no valid pair in 0 lines"),
        (b"\n\n", "no valid pair in 2 lines"),
        (b"\xef\xbb\xbf", "no valid pair"),
        (b"it's itsway\nx2 x2\n", "no valid pair in 2 lines"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not a UTF-8 text file"),
        ("the ethay\n".encode("utf-16"), "not a UTF-8 text file"),
        (bytes(64), "no valid pair"),
        (b"<!DOCTYPE html>\n<html><body>Not Found</body></html>", "web page"),
        (b"\n <html>\n<pre>\nnot found\n</pre>", "web page"),
        (b"<!-- portal -->\n<html>\nsign in\n</html>", "web page"),
        (b"<head><title>Error</title></head>\nnot found\n", "web page"),
    ],
)
def test_files_that_are_no_pair_files(tmp_path, content, message):
    path = tmp_path / "pairs.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        load_pairs(path)
    assert str(path) in str(error.value)


def test_missing_file_says_what_may_be_given(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"does not exist: give 'small', 'large', a URL or the path"
    ):
        load_pairs(tmp_path / "missing.txt")


def test_directory_is_not_a_file(tmp_path):
    with pytest.raises(OSError, match="cannot be read"):
        load_pairs(tmp_path)


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    """A refused read is simulated, since the superuser may read everything."""

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    path = tmp_path / "pairs.txt"
    path.write_text("the ethay\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match=r"Permission denied.*may you read it"):
        load_pairs(path)


def test_file_with_an_expected_hash(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_bytes(b"the ethay\n")
    right = hashlib.sha256(b"the ethay\n").hexdigest()
    assert (
        load_pairs(path, right).pairs
        == load_pairs(path, right.upper()).pairs
        == (("the", "ethay"),)
    )
    with pytest.raises(ValueError, match="not the expected"):
        load_pairs(path, "0" * 64)


# URLs

GOOD = b"quite itequay\nthe ethay\nthe ethay\n"
RESPONSES = {  # path -> status, body, announced length (None: not announced)
    "/good": (200, GOOD, len(GOOD)),
    "/unannounced": (200, GOOD, None),
    "/html": (200, b"<!doctype html><title>Sign in</title>", 37),
    "/empty": (200, b"", 0),
    "/broken": (200, GOOD, 10 * len(GOOD)),
    "/broken-at-once": (200, b"", 10),
    "/error": (500, b"the ethay\n", 10),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body, length = RESPONSES.get(self.path, (404, b"the ethay\n", 10))
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def empty_folders(tmp_path, monkeypatch):
    """Working and temporary folder, both empty before and, as checked here, after the test."""
    folders = [tmp_path / name for name in ("work", "temporary")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders[0])
    monkeypatch.setattr(tempfile, "tempdir", str(folders[1]))
    monkeypatch.setenv("no_proxy", "*")
    yield
    assert [list(folder.iterdir()) for folder in folders] == [[], []]


@pytest.mark.usefixtures("empty_folders")
class TestURL:
    @pytest.mark.parametrize("path", ["/good", "/unannounced"])
    def test_pairs_are_those_of_the_body(self, address, path):
        pairs = load_pairs(address + path)
        assert pairs.pairs == (("quite", "itequay"), ("the", "ethay"))
        assert count(pairs, "repeated") == 1
        assert address in pairs.report

    def test_expected_hash(self, address):
        right = hashlib.sha256(GOOD).hexdigest()
        assert len(load_pairs(f"{address}/good", sha256=right)) == 2
        with pytest.raises(ValueError, match=f"{right}, not the expected"):
            load_pairs(f"{address}/good", sha256=right[::-1])

    @pytest.mark.parametrize(("path", "status"), [("/missing", 404), ("/error", 500)])
    def test_error_status(self, address, path, status):
        with pytest.raises(OSError, match=f"{address}{path} cannot be fetched .*{status}"):
            load_pairs(address + path)

    @pytest.mark.parametrize(
        ("path", "message"), [("/html", "web page"), ("/empty", "no valid pair")]
    )
    def test_body_that_is_no_pair_file(self, address, path, message):
        with pytest.raises(ValueError, match=message):
            load_pairs(address + path)

    @pytest.mark.parametrize("path", ["/broken", "/broken-at-once"])
    def test_body_shorter_than_announced(self, address, path):
        with pytest.raises(OSError, match=f"{address}{path} (broke off|cannot be fetched)"):
            load_pairs(address + path)

    def test_refused_connection(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with pytest.raises(OSError, match=r"cannot be fetched .*check the address and the network"):
            load_pairs(f"http://127.0.0.1:{port}/pairs.txt")

    @pytest.mark.parametrize(
        "url", ["http://", "http://[::1", "http://127.0.0.1:notaport/x", "http://a b/c"]
    )
    def test_malformed_address(self, url):
        with pytest.raises(OSError, match="cannot be fetched"):
            load_pairs(url)

    @pytest.mark.parametrize("path", ["/good", "/unannounced"])
    def test_body_that_is_too_large(self, address, path, monkeypatch):
        monkeypatch.setattr(pairs_module, "LONGEST_DOWNLOAD", len(GOOD))
        assert len(load_pairs(address + path)) == 2
        monkeypatch.setattr(pairs_module, "LONGEST_DOWNLOAD", len(GOOD) - 1)
        with pytest.raises(ValueError, match="larger than"):
            load_pairs(address + path)


def test_a_hash_for_a_list_of_the_package_is_refused():
    with pytest.raises(ValueError, match="leave sha256 out"):
        load_pairs("small", sha256="0" * 64)
