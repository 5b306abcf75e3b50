"""Submissions that attack the grader: none gets a point, none costs another row one."""

import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from attacks import ATTACKS
from hand_ins import DOT, GRU, renamed, write_notebook

import a3lib
from a3lib.check.grade import isolation, reports, selection
from a3lib.check.grade.grading import grade
from a3lib.check.grade.sandbox import LIMITS, Sandbox, SubmissionEnded, _without

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the layers are those of Linux")
QUICK = replace(LIMITS, seconds=2, memory=1 << 30)
pytestmark = LINUX


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """The rows of one module that holds every attack, and an honest class after each."""
    folder, items = tmp_path_factory.mktemp("attacked"), []
    results, visits = folder / "results.json", []
    results.write_text("{}")
    results.chmod(0o666)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        source = f"import torch\nRESULTS, PORT = ['{results}'], {server.getsockname()[1]}\n"
        for name, text in ATTACKS.items():
            honest = name + "Honest"
            source += f"{text}\n\n{renamed(DOT, honest)}\n\n"
            items.append(selection.Item("attacks", "gru_cell", name, "", 1, name))
            items.append(selection.Item("attacks", "scaled_dot_attention", honest, "", 1, honest))
        items.append(selection.Item("attacks", "shown by", "Crash", "", 0, ""))
        (folder / "models.py").write_text(source)
        rows = grade(folder / "models.py", items, QUICK)
        try:
            visits.append(server.accept())
        except TimeoutError:
            assert results.read_text() == "{}"
    assert not visits and not list(Path("/tmp").glob("*.attack"))
    return {row["item"]: row for row in rows}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gets_no_point(attacked, name):
    assert attacked[name]["points"] == 0
    assert attacked[name]["verdict"] not in ("correct", "not graded yet")


@pytest.mark.parametrize("name", ATTACKS)
def test_the_row_after_an_attack_keeps_its_point(attacked, name):
    row = attacked[name + "Honest"]
    assert (row["points"], row["verdict"]) == (1, "correct")


def test_how_an_attack_ended_is_told(attacked):
    assert "ended" in attacked["Crash"]["message"]
    assert "longer than" in attacked["LoopAtDefinition"]["message"]
    assert "Timeout" in attacked["Loop"]["message"]
    for name in ("LibraryClass", "LibraryBase"):
        assert attacked[name]["verdict"] == "not the student's"


@pytest.mark.parametrize("form", ["text", "csv", "json", "html", "gradescope"])
def test_reports_on_attacks_can_be_written(attacked, form):
    written = getattr(reports, f"as_{form}")(list(attacked.values()))
    assert len(written.encode()) < 300_000


# what a submission's process can reach, asked from within

PROBES = """
def reads(path):
    with open(path, 'rb') as file:
        return len(file.read())

def lists(path):
    import os
    return len(os.listdir(path))

def writes(path):
    with open(path, 'w') as file:
        file.write('x')
    return 1

def connects(port):
    import socket
    socket.socket().connect(('127.0.0.1', port))
    return 1

def imports(name):
    return str(__import__(name))

def user():
    import os
    return os.geteuid()

def regains():
    import os
    os.setuid(0)
    return 1

def executes():
    import subprocess
    return subprocess.run(['/bin/true']).returncode

def environment():
    import os
    return sorted(os.environ)

def allocates(megabytes):
    import torch
    return torch.ones(megabytes << 18).sum().item()

def in_a_cell():
    return 1 / 0
"""
NAMES = [line[4:].split("(")[0] for line in PROBES.splitlines() if line.startswith("def ")]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(limits=QUICK) as opened:
        yield opened


@pytest.fixture
def probed(sandbox):
    """A function that calls a probe in a submission's process."""
    sandbox.open([{"names": [], "place": "cell", "line": 1, "source": PROBES}], NAMES)
    yield lambda name, *inputs: sandbox.ask("apply", name=name, inputs=list(inputs))
    sandbox.close()


def refused(answer, *types):
    return answer.get("error", {}).get("type") in types


def test_the_layers_are_told(sandbox, probed):
    if os.geteuid() == 0:
        assert "own user" in sandbox.layers
    if set(sandbox.layers) < {"limits", "landlock", "seccomp"}:
        pytest.skip(f"this system grants only {sandbox.layers}")


def test_the_probes_themselves_work(probed):
    assert probed("lists", str(Path(json.__file__).parent.parent / "site-packages"))
    assert probed("reads", "/dev/null")["outputs"] == [0]
    assert probed("allocates", 8)["outputs"] == [8 << 18]
    assert "math" in probed("imports", "math")["outputs"][0]


def test_a3lib_cannot_be_read_or_imported(probed):
    folder = Path(a3lib.__file__).parent
    assert folder.joinpath("check", "runner.py").exists()
    assert refused(probed("reads", str(folder / "check" / "runner.py")), "PermissionError")
    assert refused(probed("lists", str(folder)), "PermissionError")
    assert refused(probed("imports", "a3lib"), "ModuleNotFoundError")
    assert refused(probed("imports", "a3lib.check.workspace"), "ModuleNotFoundError")


def test_all_but_the_package_can_be_read_where_it_is_installed(tmp_path):
    for name in ("site/a3lib/check", "site/torch", "other/a3lib"):
        (tmp_path / name).mkdir(parents=True)
    roots = [tmp_path / "site", tmp_path / "other", tmp_path / "absent"]
    readable = set(_without(tmp_path / "site" / "a3lib", roots))
    assert readable == {tmp_path / "site" / "torch", tmp_path / "other"}


def test_files_of_others_cannot_be_read_or_written(probed, tmp_path):
    secret = tmp_path / "results.json"
    secret.write_text("{}")
    secret.chmod(0o666)
    for path in (secret, Path(__file__), Path(f"/proc/{os.getpid()}/environ")):
        assert refused(probed("reads", str(path)), "PermissionError")
    for path in (
        secret,
        tmp_path / "new",
        Path(tempfile.gettempdir(), "new"),
        "new",
        Path(json.__file__),
    ):
        assert refused(probed("writes", str(path)), "PermissionError")
    assert secret.read_text() == "{}"


def test_there_is_no_network(probed):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        assert refused(probed("connects", server.getsockname()[1]), "PermissionError")
        with pytest.raises(TimeoutError):
            server.accept()


def test_there_are_no_privileges_and_no_other_programs(probed):
    assert probed("user")["outputs"] != [0]
    assert refused(probed("regains"), "PermissionError")
    assert refused(probed("executes"), "BlockingIOError", "PermissionError")


def test_memory_is_limited(probed):
    assert refused(probed("allocates", 3000), "RuntimeError", "MemoryError")


def test_the_graders_environment_is_not_handed_on(probed):
    assert not {"PATH", "PYTHONPATH", "PWD"} & set(probed("environment")["outputs"][0])


def test_an_exception_tells_the_line_of_the_cell(sandbox, probed):
    error = probed("in_a_cell")["error"]
    assert error["type"] == "ZeroDivisionError"
    assert PROBES.splitlines()[error["line"] - 1].strip() == "return 1 / 0" == error["text"]
    assert sandbox.where == f"cell, line {error['line']}"


# each layer alone, in a process without torch

LAYERS = {
    "limits": ("None", "os.write(os.open(path, os.O_WRONLY), b'x')", "OSError"),
    "landlock": ("isolation._landlock([])", "open(path)", "PermissionError"),
    "seccomp": ("isolation._seccomp()", "socket.socket()", "PermissionError"),
    "signals": ("isolation._seccomp()", "os.kill(os.getpid(), 9)", "PermissionError"),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_holds_alone(layer, tmp_path):
    step, attack, expected = LAYERS[layer]
    (tmp_path / "isolation.py").write_text(Path(isolation.__file__).read_text())
    program = f"""
import os, resource, socket, sys
path = sys.argv[1]
import isolation
isolation._call("prctl", 38, 1, 0, 0, 0)
if {layer == "limits"}:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    {step}
except OSError:
    sys.exit(77)
try:
    {attack}
except {expected}:
    sys.exit(3)
"""
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "file").write_text("")
    ended = subprocess.run(
        [sys.executable, "-B", "program.py", str(tmp_path / "file")], cwd=tmp_path
    )
    if ended.returncode == 77:
        pytest.skip("this system does not grant it")
    assert ended.returncode == 3


# replies that are no data, from a submission that writes to its end of the socket

LIAR = """
import json, os, struct

def lie(reply):
    data = reply.encode()
    for place in range(3, 64):
        try:
            os.write(place, struct.pack("!i", len(data)) + data)
        except OSError:
            pass
    os._exit(0)
"""


@pytest.mark.parametrize(
    "reply",
    ["", "[]", "1e999", "{", "[" * 100_000, '{"ended": 5, "outputs": ' + "[" * 900 + "]" * 900 + "}",
     '{"tensor": [1, 2], "dtype": "float32", "shape": [1000000000]}',
     '{"tensor": [1], "dtype": "load", "shape": [1]}', '{"tensor": "x", "dtype": 3, "shape": 1}'],
)  # fmt: skip
def test_a_forged_reply_is_an_end_or_harmless_data(sandbox, reply):
    sandbox.open([{"names": [], "place": "cell", "line": 1, "source": LIAR}], ["lie"])
    try:
        assert isinstance(sandbox.ask("apply", name="lie", inputs=[reply]), dict)
    except SubmissionEnded:
        pass
    finally:
        sandbox.close()


def test_a_submission_cannot_outlive_its_sandbox():
    source = (
        "import ctypes, os\ndef stay():\n    ctypes.CDLL(None).prctl(1, 0)\n    return os.getpid()"
    )
    with Sandbox(limits=QUICK) as sandbox:
        sandbox.open([{"names": [], "place": "cell", "line": 1, "source": source}], ["stay"])
        [process] = sandbox.ask("apply", name="stay")["outputs"]
        assert alive(process)
    assert not alive(process)


def test_a_host_that_dies_costs_one_item(sandbox):
    code = [{"names": [], "place": "cell", "line": 1, "source": "def one(): return 1"}]
    for again in range(2):
        sandbox.open(code, ["one"])
        assert sandbox.ask("apply", name="one")["outputs"] == [1]
        if not again:
            sandbox._host.kill()
            sandbox._host.wait()
            time.sleep(0.5)  # the kernel ends the submission, too
            with pytest.raises(SubmissionEnded):
                sandbox.ask("apply", name="one")
        sandbox.close()


def test_nothing_outlives_the_grader_and_its_results_stay_valid(tmp_path):
    """SIGKILL of the grader ends the host and the submission in the middle of an endless loop."""
    loop = GRU.replace("z = torch.sigmoid", "while True: pass\n        z = torch.sigmoid")
    path = write_notebook(tmp_path / "loop.ipynb", [("code", DOT), ("code", loop)])
    points = list(csv.reader(selection.POINTS.open()))
    points.sort(key=lambda line: line[2] == "MyGRUCell")  # the loop comes last
    with (tmp_path / "points.csv").open("w", newline="") as file:
        csv.writer(file).writerows(points)
    command = [sys.executable, "-m", "a3lib.check.grade", str(path), "--seconds", "60"]
    command += ["--points", str(tmp_path / "points.csv")]
    output, deadline = tmp_path / "results.json", time.monotonic() + 120
    grader = subprocess.Popen([*command, "--gradescope", "-o", str(output)], cwd=tmp_path)
    result = {"score": 0}
    while result["score"] == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
        result = json.loads(output.read_text()) if output.exists() else result  # valid at any time
    while len(children(grader.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    started = children(grader.pid)
    grader.kill()
    grader.wait()
    assert len(started) == 2  # the host and the submission
    while any(alive(process) for process in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(process) for process in started)
    tests = {test["name"]: test for test in json.loads(output.read_text())["tests"]}
    assert tests["Scaled dot-product attention"]["score"] == 1
    assert "not graded yet" in tests["GRU cell"]["output"]


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children(process):
    """All processes below one, by their ids."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == process:
            found += [int(entry.parent.name), *children(int(entry.parent.name))]
    return found
