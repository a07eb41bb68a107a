"""The explorer driven by keys, without a terminal: textual's pilot in an event loop of the test."""

import asyncio
import contextlib
import os
import shutil
import threading
import time

import numpy as np
import pytest
from msgspec.structs import replace

import inspector
from inspector import api, deadline
from inspector.browse.app import BrowseApp, is_light
from inspector.browse.difference import Difference
from inspector.browse.source import Source
from inspector.browse.work import Failed, Lane
from inspector.errors import Corrupt
from tests.builders.hdf5 import weights_file
from tests.builders.samples import SAMPLES

PRUNED = os.path.join(SAMPLES, "pruned.h5")
STRIPPED = os.path.join(SAMPLES, "stripped.h5")
MARKUP = "[red]x[@click=app.quit]y"


class Driver:
    """A running app: keys in, texts out."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, true, what=""):
        """Wait for what another thread brings."""
        end = time.monotonic() + 30
        while not true():
            assert time.monotonic() < end, f"{what}\n{self.screen()}"
            await asyncio.sleep(0.01)
            await self.pilot.pause()

    async def says(self, *texts):
        await self.until(lambda: all(text in self.screen() for text in texts), texts)

    def screen(self):
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return "\n".join(strip.text for strip in strips)

    def segments(self):
        for strip in self.app.screen._compositor.render_strips(self.app.size):
            yield from strip

    @property
    def pane(self):
        """What it says, however its lines are broken."""
        return " ".join(self.app.screen.query_one("#detail").content.plain.split())

    @property
    def node(self):
        return self.app.screen.node

    @property
    def titles(self):
        """What the tree has, as far as it is open."""
        tree = self.app.screen.tree_widget
        return [tree.get_node_at_line(at).data.title for at in range(tree.last_line + 1)]


def drive(steps, *paths, size=(80, 24), source=None, **options):
    """Run an app over these artifacts, and the steps with it."""

    async def run():
        shown = inspector.show(paths or (PRUNED,), measure=False).artifacts
        app = BrowseApp(source or Source(), shown, **options)
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, pilot)
            await driver.until(lambda: app.screen.query("#tree"))
            await pilot.pause()
            await steps(driver)
        return app

    return asyncio.run(run())


def test_the_answer_stands_beside_the_tree():
    async def steps(it):
        await it.says("sample_models/pruned.h5", "5,347", "2,638 parameters as Keras", "■▲△")
        assert "714" not in it.pane  # no value was read
        await it.press("m")
        await it.until(lambda: "714 are not zero" in it.pane)

    drive(steps)


def test_a_tensor_that_is_selected_is_read_and_explained():
    async def steps(it):
        await it.press("j", "j", "right", "right")
        assert it.node.title == "dense/kernel"
        await it.until(lambda: "▲ threshold ±0.139098" in it.pane)
        assert "320 of 640 (50 %)" in it.pane
        assert "2,560 bytes at 9,424" in it.pane
        await it.press("left", "left")
        assert "dense/kernel" not in it.titles

    drive(steps, size=(100, 30))


def test_search_filters_as_it_is_typed_and_steps_through_what_it_found():
    async def steps(it):
        await it.press("slash", *"bias")
        assert [one for one in it.titles if "bias" in one] == [
            "dense/bias", "dense_1/bias",
            "m of prune_low_magnitude_dense/dense/bias",
            "v of prune_low_magnitude_dense/dense/bias",
            "m of prune_low_magnitude_dense_1/dense_1/bias",
            "v of prune_low_magnitude_dense_1/dense_1/bias",
        ]  # fmt: skip
        assert "6 matches" in it.screen()
        await it.press("enter")
        assert it.node.title == "dense/bias"
        await it.press("n")
        assert it.node.title == "dense_1/bias"
        await it.press("N", "N")
        assert it.node.title == "v of prune_low_magnitude_dense_1/dense_1/bias"
        await it.press("escape")
        assert "no tensors" in it.titles
        assert it.node.title == "v of prune_low_magnitude_dense_1/dense_1/bias"  # it stays there
        await it.press("slash", *"nothing", "enter")
        assert "Nothing is called so" in it.pane
        await it.press("escape")

    drive(steps)


def test_findings_are_gone_through_and_each_says_what_to_do():
    async def steps(it):
        await it.press("j", "j", "f")
        await it.until(lambda: it.pane.startswith("Finding 1 of 3"))
        assert "2 pruning wrappers with masks" in it.pane
        assert "(model), then save that." in it.pane
        assert it.node.kind == "artifact"  # the finding is of the whole
        await it.press("f")
        assert it.pane.startswith("Finding 2 of 3")
        await it.press("F", "F")
        assert it.pane.startswith("Finding 3 of 3")
        await it.press("j")
        assert "Finding" not in it.pane
        await it.press("k")
        assert "Findings (3)" in it.pane

    drive(steps)


def test_one_role_is_left_and_layers_count_that_alone():
    async def steps(it):
        await it.press("r")
        await it.says("Only tensors of", "▲ masks")
        await it.press("down", "down", "enter")
        await it.until(lambda: it.app.screen.wanted.role == "mask")
        await it.pilot.pause()
        assert it.titles.count("mask") == 2
        assert it.node.title == "mask"
        assert "1,346" not in it.screen()
        await it.press("escape")
        assert "1,346" in it.screen()

    drive(steps)


def test_sorting_by_sparsity_reads_values_first():
    async def steps(it):
        await it.press("s")
        assert "sorted by size" in it.screen()
        assert it.titles[1] == "optimizer slots"
        await it.press("s")
        await it.says("47.27 %", "49.23 %", "45.45 %")
        assert it.titles[1] == "prune_low_magnitude_dense_1"
        await it.press("s")
        assert it.titles[1] == "dense_input"

    drive(steps)


def test_two_artifacts_are_compared():
    async def steps(it):
        await it.press("c")
        await it.until(lambda: isinstance(it.app.screen, Difference))
        await it.says("A → B", "Pruning overhead was stripped")
        await it.press("f")
        assert it.node.title == "mask"
        await it.until(lambda: "Before (A) · 320 zeros" in it.pane)
        assert "not there" in it.pane
        await it.press("slash", *"*/kernel", "enter")
        assert it.node.title == "dense/kernel"
        await it.until(lambda: it.pane.count("320↑") == 2)
        await it.press("escape", "escape")
        assert not isinstance(it.app.screen, Difference)

    drive(steps, PRUNED, STRIPPED)


def test_what_to_compare_with_is_asked_for():
    async def steps(it):
        await it.press("c")
        await it.says("Compare it with which artifact?")
        await it.press(*"no.h5", "enter")
        await it.says("no.h5: no such file")
        it.app.screen.query_one("#tree").focus()
        await it.press("c")
        await it.says("Compare it with which artifact?")
        it.app.screen.query_one("#answer").value = STRIPPED
        await it.press("enter")
        await it.until(lambda: isinstance(it.app.screen, Difference))

    drive(steps)


def test_a_file_that_breaks_is_told_in_the_pane(monkeypatch):
    def explain(path, *_, **__):
        raise Corrupt("the values are \u202e[red]gone", path, 12)

    monkeypatch.setattr(api, "explain", explain)

    async def steps(it):
        await it.press("j", "j", "right", "right")
        await it.until(lambda: "gone (at byte 12)" in it.pane)
        assert "[red]gone" in it.pane
        assert "\u202e" not in it.pane
        assert "■ weight" in it.pane  # what is known without its values

    drive(steps)


def test_a_bug_is_told_too_and_the_screen_stays(monkeypatch):
    def explain(*_, **__):
        raise KeyError("whoops")

    monkeypatch.setattr(api, "explain", explain)

    async def steps(it):
        await it.press("j", "j", "right", "right")
        await it.until(lambda: "this is a bug in inspect" in it.pane)

    drive(steps)


def test_reading_is_said_and_what_the_cursor_left_is_stopped(monkeypatch):
    stopped, real = [], api.explain

    def explain(path, name, **options):
        if name.endswith("kernel:0"):
            try:
                while True:
                    deadline.check()
                    time.sleep(0.002)
            except deadline.Abandoned:
                stopped.append(name)
                raise
        return real(path, name, **options)

    monkeypatch.setattr(api, "explain", explain)

    async def steps(it):
        await it.press("j", "j", "right", "right")
        await it.until(lambda: it.app.screen.reading.busy)
        assert "reading …" in it.pane
        await it.press("down")
        await it.until(lambda: "0 of 64 (0 %)" in it.pane)
        assert stopped == ["model_weights/prune_low_magnitude_dense/dense/kernel:0"]
        await it.press("up")
        await it.until(lambda: it.app.screen.reading.busy)
        await it.press("q")

    began = time.monotonic()
    drive(steps)
    assert time.monotonic() - began < 25  # nobody waited for the last one


def test_without_measuring_no_value_is_read(monkeypatch):
    from inspector import payloads as storage

    def refuse(*_):
        raise AssertionError("values were read")

    for one in (storage.RawPayload, storage.FilledPayload):
        monkeypatch.setattr(one, "blocks", refuse)

    async def steps(it):
        assert "--no-measure" in it.pane
        await it.press("j", "j", "right", "right")
        await it.until(lambda: "2,560 bytes at 9,424" in it.pane)
        assert "reading" not in it.pane
        await it.press("m")
        await it.says("values are not read: --no-measure")

    drive(steps, source=Source(measure=False))


def test_what_cannot_be_read_stands_in_its_place(tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20))

    async def steps(it):
        await it.says("✗", "unreadable")
        await it.press("up", "up", "G")
        assert it.node.kind == "artifact"
        assert "error: " in it.pane
        await it.press("f", "m", "c", "o", "y", "s")  # none of them minds

    drive(steps, PRUNED, str(tmp_path / "broken.h5"))


def test_names_are_never_markup(tmp_path):
    path = weights_file(tmp_path / "[b]a.h5", {MARKUP: {f"{MARKUP}\x1b[2J:0": np.ones(3, "f4")}})

    async def steps(it):
        await it.says("[red]x[@click")
        await it.press("right", "right", "right")
        await it.until(lambda: "range 1 to 1" in it.pane)
        assert "\\x1b[2J" in it.pane
        assert all("\x1b" not in segment.text for segment in it.segments())
        assert not any("@click" in (one.style.meta if one.style else {}) for one in it.segments())
        await it.press("y")
        assert MARKUP in it.app.clipboard
        await it.press("slash", *"[red]")
        await it.press("enter")
        await it.says("/[red]")

    drive(steps, path, size=(100, 30))


def test_a_path_that_would_steer_the_terminal_is_not_offered(tmp_path):
    path = shutil.copy(PRUNED, tmp_path / "a\x1b[2J\u202e.h5")

    async def steps(it):
        await it.press("c")
        await it.says("Compare it with which artifact?")
        assert all("\x1b" not in segment.text for segment in it.segments())
        await it.press("escape", "o")
        await it.says("Write the page to which file?")
        assert all("\x1b" not in segment.text for segment in it.segments())

    drive(steps, PRUNED, str(path), STRIPPED)
    drive(steps, str(path))


def test_the_name_is_copied():
    async def steps(it):
        await it.press("j", "j", "right", "right", "y")
        assert it.app.clipboard == "model_weights/prune_low_magnitude_dense/dense/kernel:0"
        await it.says("copied: ")

    drive(steps)


def test_the_page_is_written_but_over_nothing_without_asking(tmp_path):
    written = {}
    there = tmp_path / "a.html"
    there.write_text("mine")

    async def steps(it):
        await it.press("o")
        await it.says("Write the page to which file?", "pruned.html")
        it.app.screen.query_one("#answer").value = str(there)
        await it.press("enter")
        await it.says("is there already")
        await it.press("enter")
        assert not written
        await it.press("o")
        it.app.screen.query_one("#answer").value = str(there)
        await it.press("enter")
        await it.says("is there already")
        await it.press("down", "enter")
        await it.until(lambda: str(there) in written)
        assert "strip_pruning leaves" in written[str(there)]
        await it.says("written: ")

    save = lambda path, parts: written.update({path: "".join(parts)})  # noqa: E731
    drive(steps, source=Source(save=save))


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (50, 20), (30, 8)])
def test_every_size_has_room_for_tree_and_pane(size):
    async def steps(it):
        await it.says("pruned.h5")
        tree, pane = it.app.screen.query_one("#tree"), it.app.screen.query_one("#pane")
        assert tree.region.width >= 20
        assert pane.region.height >= 3
        assert pane.region.width >= 20
        beside = tree.region.y == pane.region.y
        assert beside == (size[0] >= 70)
        await it.pilot.resize_terminal(90, 30)
        await it.until(lambda: tree.region.y == pane.region.y)
        await it.press("j", "j", "right")
        assert "1,346" in it.screen()

    drive(steps, size=size)


def test_without_colours_there_are_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(it):
        await it.press("j", "j", "right", "right")
        await it.until(lambda: "threshold ±" in it.pane)
        styles = [segment.style for segment in it.segments() if segment.style]
        colours = {one.name for style in styles for one in (style.color, style.bgcolor) if one}
        assert colours <= {"default"}
        cursor = [one.text for one in it.segments() if one.style and one.style.reverse]
        assert any("dense/kernel" in text for text in cursor)
        await it.press("t")  # asks for colours in vain
        styles = [segment.style for segment in it.segments() if segment.style]
        assert {one.name for style in styles for one in (style.color,) if one} <= {"default"}

    drive(steps, colorful=False)


def test_dark_and_light():
    async def steps(it):
        assert it.app.current_theme.dark is False
        await it.press("t")
        await it.says("pruned.h5")

    drive(steps, light=True)
    assert is_light({"COLORFGBG": "0;15"})
    assert is_light({"COLORFGBG": "0;default;7"})
    assert not is_light({"COLORFGBG": "15;0"})
    assert not is_light({})


def test_the_mouse_selects_and_opens():
    async def steps(it):
        await it.pilot.click("#tree", offset=(10, 2))
        await it.until(lambda: "dense/kernel" in it.titles)
        assert it.node.item.name == "prune_low_magnitude_dense"
        await it.pilot.click("#tree", offset=(10, 3))
        await it.until(lambda: "320 of 640" in it.pane)

    drive(steps)


def test_help_lists_the_keys():
    async def steps(it):
        await it.press("question_mark")
        await it.says("next finding", "Keys")
        await it.press("escape", "q")

    app = drive(steps, size=(100, 50))
    assert app.crash is None
    assert app.return_code == 0


def test_a_bug_of_the_screen_ends_it_with_the_error(monkeypatch):
    async def steps(it):
        monkeypatch.setattr(type(it.app.screen), "describe", lambda *_: 1 / 0)
        with contextlib.suppress(Exception):
            await it.press("j")

    with pytest.raises(ZeroDivisionError):
        drive(steps)


def many(layers):
    """The report of a model of so many layers, with four tensors each."""
    shown = inspector.show(PRUNED, measure=False).artifacts[0]
    row, tensor = shown.layers[1], shown.tensors[0]
    names = [f"layer_{at:05d}" for at in range(layers)]
    tensors = tuple(
        replace(tensor, name=f"{name}/{one}:0", layer=name, variable=one)
        for name in names
        for one in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return replace(shown, layers=tuple(replace(row, name=n) for n in names), tensors=tensors)


def test_thousands_of_tensors_open_at_once():
    shown = many(1250)
    spent = {}

    async def run():
        app = BrowseApp(Source(measure=False), [shown])
        began = time.thread_time()
        async with app.run_test(size=(100, 30)) as pilot:
            it = Driver(app, pilot)
            await it.until(lambda: app.screen.query("#tree"))
            await it.press("j", "right")
            assert len(it.node.children) == 4
            spent["open"] = time.thread_time() - began
            await it.press("slash")
            app.screen.query_one("#search").value = "*_01249/beta:0"
            await it.until(lambda: it.node is not None and it.node.title == "beta")
            assert it.titles == [shown.path, "layer_01249", "beta"]

    asyncio.run(run())
    assert spent["open"] < 4  # half a second on an idle machine


# --- reading away from the screen ---


class Listener:
    def __init__(self):
        self.heard = []
        self.event = threading.Event()

    def post_message(self, message):
        self.heard.append(message.task)
        self.event.set()


def test_the_newest_call_is_made_and_older_ones_are_not_heard_of():
    listener, made = Listener(), []
    lane = Lane(listener)
    begun = threading.Event()

    def endless():
        begun.set()
        with deadline.within(60, "a"):
            # In a thread that works for it, as measuring has them.
            while True:
                deadline.check()

    lane.ask(("a",), endless)
    assert begun.wait(20)
    for name in "bcd":
        lane.ask((name,), lambda name=name: made.append(name) or name)
    assert listener.event.wait(20)
    assert [task.name for task in listener.heard] == [("d",)]
    assert made == ["d"]
    assert lane.busy is None


def test_threads_that_help_are_stopped_with_the_one_they_help():
    from inspector import measure

    listener = Listener()
    lane = Lane(listener)
    begun, ended = threading.Event(), threading.Event()

    def job(_):
        begun.set()
        try:
            while True:
                deadline.check()
        finally:
            ended.set()

    def call():
        with deadline.within(60, "a"):
            measure.run(job, ["one"], 1)

    lane.ask(("a",), call)
    assert begun.wait(20)
    lane.stop()
    assert ended.wait(20)
    assert listener.heard == []


def test_what_a_call_raises_is_its_result():
    listener = Listener()
    lane = Lane(listener)
    lane.ask(("a",), lambda: (_ for _ in ()).throw(OSError(28, "no space left", "x.html")))
    assert listener.event.wait(20)
    assert listener.heard[0].result == Failed("x.html: no space left")
