import os
import subprocess
import sys
import time

import pytest

from songid_desktop import locks

HOLDER = """
import sys, time
from pathlib import Path
from songid_desktop import locks
with locks.hold(Path(sys.argv[1]), "the other one"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_holds_it_and_the_next_is_told_who(tmp_path):
    path = tmp_path / "new folder" / "lock"
    assert not locks.is_held(path)
    with locks.hold(path, "the first"):
        assert locks.is_held(path)
        with pytest.raises(locks.Held) as refused, locks.hold(path, "the second"):
            pass
        assert refused.value.holder.program == "the first"
        assert refused.value.holder.pid == os.getpid()
        assert f"the first (process {os.getpid()}) since 20" in str(refused.value)
    assert not locks.is_held(path)
    with locks.hold(path, "the second"):
        pass


def test_it_dies_with_its_holder(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        named = rf"the other one \(process {holder.pid}\)"
        with pytest.raises(locks.Held, match=named), locks.hold(path, "this one"):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with locks.hold(path, "this one"):
        pass


def test_patience_waits_and_ends(tmp_path):
    path = tmp_path / "lock"
    with locks.hold(path, "the first"):
        began = time.monotonic()
        with pytest.raises(locks.Held), locks.hold(path, "the second", patience_s=0.2):
            pass
        assert 0.2 <= time.monotonic() - began < 5.0


@pytest.mark.parametrize("said", [b"", b"\xff\xfe", b"[1]", b"7", b'{"pid": "x", "since": "y"}'])
def test_what_the_file_says_need_make_no_sense(tmp_path, said):
    path = tmp_path / "lock"
    with locks.hold(path, "the first"):
        path.write_bytes(said)
        with pytest.raises(locks.Held, match="another program"), locks.hold(path, "the second"):
            pass


def test_a_time_out_of_all_calendars_is_left_out(tmp_path):
    path = tmp_path / "lock"
    with locks.hold(path, "the first"):
        path.write_text('{"program": "it", "since": 1e300}', encoding="utf-8")
        with pytest.raises(locks.Held, match=r"^held by it$"), locks.hold(path, "the second"):
            pass


def test_a_folder_in_its_place_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match=r"[Dd]irectory|denied"), locks.hold(tmp_path, "this one"):
        pass
