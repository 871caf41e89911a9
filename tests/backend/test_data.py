"""What a model gets of what a task points at, from inline values, servers, Label Studio, files and data: URIs."""

from __future__ import annotations

import base64
import io
import os
import pickle
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageOps, ImageSequence

from prelabel.data import DataReader
from prelabel.data.guard import is_public
from prelabel.data.reader import ModelInput
from prelabel.errors import DataBlockedError, DataError, DataUnavailableError, PrelabelError, TaskError
from prelabel.labeling import ObjectTag, parse
from prelabel.labelstudio import LabelStudio
from prelabel.model import Audio, InputKind, Item
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Facts, Task

TEXT = ObjectTag("text", "Text", "text")
IMAGE = ObjectTag("image", "Image", "image")
AUDIO = ObjectTag("audio", "Audio", "audio")
RED_BLUE = np.array([[0, 0, 255], [255, 0, 0]])
TOKEN = "0123456789abcdef0123456789abcdef01234567"


# --- a server whose answers tests choose
class Site:
    """An HTTP server on loopback: ``routes`` maps a path to (status, headers, body) or to a function that answers."""

    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                site.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                answer = site.routes.get(self.path.partition("?")[0], (404, {}, b"no such thing"))
                if callable(answer):
                    answer(self)
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    yield server
    server.stop()


@pytest.fixture
def other_site() -> Iterator[Site]:
    server = Site()
    yield server
    server.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data", allow_private_addresses=True, fetch_timeout_s=5.0)


Making = Callable[..., DataReader]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Making]:
    """Makes readers: settings as keywords, ``label_studio`` the client they may ask."""
    made: list[DataReader] = []

    def make(label_studio: Any = None, **given: Any) -> DataReader:
        given = {"data_dir": tmp_path / "data", "allow_private_addresses": True, "fetch_timeout_s": 5.0, **given}
        made.append(DataReader(load_settings(**given), lambda: label_studio))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def studio(site: Site) -> Iterator[LabelStudio]:
    """The real client, of a Label Studio that is ``site``."""
    with LabelStudio(site.url, TOKEN) as client:
        yield client


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(width: int = 4, height: int = 3, colour: Any = "red") -> bytes:
    return encoded(Image.new("RGB", (width, height), colour))


def data_uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def task(**data: Any) -> Task:
    return Task(id=7, data=data, project=1)


# --- text
def test_inline_text_is_given_as_it_is(reader: Making) -> None:
    resolved = reader().read(task(text=" Bonjour \n"), TEXT, InputKind.TEXT)
    assert resolved.value == " Bonjour \n"
    assert resolved.facts == Facts(text=" Bonjour \n")


def test_a_text_that_looks_like_an_address_is_text_unless_the_config_says_url(reader: Making, site: Site) -> None:
    site.routes["/a.txt"] = (200, {}, "Grüße".encode())
    address = f"{site.url}/a.txt"
    assert reader().read(task(text=address), TEXT, InputKind.TEXT).value == address
    by_url = ObjectTag("text", "Text", "text", {"valueType": "url"})
    assert reader().read(task(text=address), by_url, InputKind.TEXT).value == "Grüße"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Grüße".encode("utf-8-sig"), "text/plain"),
        ("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1"),
        ("Grüße".encode("utf-16"), "text/plain"),
    ],
)
def test_fetched_text_is_decoded_as_it_says(reader: Making, site: Site, body: bytes, kind: str) -> None:
    site.routes["/a.txt"] = (200, {"Content-Type": kind}, body)
    by_url = ObjectTag("text", "Text", "text", {"valueType": "url"})
    assert reader().read(task(text=f"{site.url}/a.txt"), by_url, InputKind.TEXT).value == "Grüße"


def test_text_that_is_not_utf8_is_an_error_that_says_so(reader: Making, site: Site) -> None:
    site.routes["/a.txt"] = (200, {}, "Grüße".encode("latin-1"))
    by_url = ObjectTag("text", "Text", "text", {"valueType": "url"})
    with pytest.raises(DataError, match=r"task 7: field 'text': the text is not UTF-8.*Store it as UTF-8"):
        reader().read(task(text=f"{site.url}/a.txt"), by_url, InputKind.TEXT)


def test_numbers_are_shown_as_text(reader: Making) -> None:
    assert reader().read(task(text=42), TEXT, InputKind.TEXT).value == "42"


def test_hypertext_is_read_as_it_is_seen_and_its_page_is_a_fact(reader: Making) -> None:
    tag = ObjectTag("page", "HyperText", "html")
    resolved = reader().read(task(html="<p>Hello <b>you</b></p>"), tag, InputKind.TEXT)
    assert resolved.value == "Hello you"
    assert resolved.facts.text == "<p>Hello <b>you</b></p>"


def test_paragraphs_are_one_a_line_and_known_one_by_one(reader: Making) -> None:
    tag = ObjectTag("talk", "Paragraphs", "talk", {"textKey": "said"})
    resolved = reader().read(task(talk=[{"said": "Hello"}, {"said": "Hi"}]), tag, InputKind.TEXT)
    assert resolved.value == "Hello\nHi"
    assert resolved.facts.paragraphs == ("Hello", "Hi")


def test_paragraphs_can_be_fetched(reader: Making, site: Site) -> None:
    site.routes["/talk.json"] = (200, {}, b'[{"author": "A", "text": "Hello"}]')
    tag = ObjectTag("talk", "Paragraphs", "talk", {"valueType": "url"})
    assert reader().read(task(talk=f"{site.url}/talk.json"), tag, InputKind.TEXT).facts.paragraphs == ("Hello",)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "field 'text': is missing, and <Text name=\"text\"> shows it; the task's data has nothing"),
        ({"body": "x"}, "the task's data has body"),
        ({"text": None}, "field 'text': is null"),
        ({"text": ["a"]}, "field 'text': must be a text, not list"),
    ],
)
def test_a_field_that_is_not_there_is_an_error_that_names_it(
    reader: Making, data: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TaskError) as caught:
        reader().read(task(**data), TEXT, InputKind.TEXT)
    assert sentence in str(caught.value)
    assert caught.value.task == 7


# --- images
def test_an_image_is_rgb_with_its_size(reader: Making) -> None:
    resolved = reader().read(task(image=data_uri(png(4, 3))), IMAGE, InputKind.IMAGE)
    assert (resolved.value.mode, resolved.value.size) == ("RGB", (4, 3))
    assert resolved.facts == Facts(width=4, height=3, pages=((4, 3),))


def test_an_image_is_turned_as_its_exif_orientation_says(reader: Making) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = data_uri(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif), "image/jpeg")
    resolved = reader().read(task(image=photo), IMAGE, InputKind.IMAGE)
    assert resolved.value.size == (20, 40)
    assert reader().facts(task(image=photo), IMAGE) == resolved.facts == Facts(width=20, height=40, pages=((20, 40),))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_is_whole_when_its_file_is_closed(reader: Making, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (0, 0, 20, 20))
    turned = data_uri(encoded(picture, form, exif=exif, quality=95), f"image/{form.lower()}")
    image = reader().read(task(image=turned), IMAGE, InputKind.IMAGE).value
    for each in (image, image.copy(), pickle.loads(pickle.dumps(image)), ImageOps.exif_transpose(image)):
        assert each.size == (20, 40)
        assert np.abs(np.asarray(each.resize((1, 2), Image.Resampling.NEAREST))[:, 0].astype(int) - RED_BLUE).max() < 8


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_an_image_of_its_own(reader: Making, form: str) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue", "lime")]
    moving = encoded(frames[0], form, save_all=True, append_images=frames[1:], lossless=True)
    image = reader().read(task(image=data_uri(moving, f"image/{form.lower()}")), IMAGE, InputKind.IMAGE).value
    assert image.getpixel((0, 0)) == (255, 0, 0)
    assert [frame.getpixel((0, 0)) for frame in ImageSequence.Iterator(image)] == [(255, 0, 0)]


def test_transparent_parts_are_white(reader: Making) -> None:
    glass = data_uri(encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 0))))
    assert reader().read(task(image=glass), IMAGE, InputKind.IMAGE).value.getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_become_eight(reader: Making) -> None:
    deep = data_uri(encoded(Image.fromarray(np.full((2, 2), 0x80FF, dtype=np.uint16))))
    assert reader().read(task(image=deep), IMAGE, InputKind.IMAGE).value.getpixel((0, 0)) == (128, 128, 128)


def test_an_array_of_an_image_has_height_width_and_channels(reader: Making) -> None:
    array = reader().read(task(image=data_uri(png(4, 3, (1, 2, 3)))), IMAGE, InputKind.ARRAY).value
    assert (array.shape, array.dtype) == ((3, 4, 3), np.uint8)
    assert array[0, 0].tolist() == [1, 2, 3]
    array[0, 0] = 0  # the model may write into it


def test_a_multi_page_image_is_a_list(reader: Making) -> None:
    pages = ObjectTag("image", "Image", "pages", {"valueList": "$pages"}, many=True)
    resolved = reader().read(task(pages=[data_uri(png(4, 3)), data_uri(png(6, 5))]), pages, InputKind.IMAGE)
    assert [page.size for page in resolved.value] == [(4, 3), (6, 5)]
    assert resolved.facts == Facts(width=4, height=3, pages=((4, 3), (6, 5)))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<svg/>", "is not an image that Pillow can read"),
        (png(300, 300, "blue")[:150], "the image is broken"),
        (b"", "is not an image"),
    ],
)
def test_a_file_that_is_no_image_is_an_error(reader: Making, content: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        reader().read(task(image=data_uri(content)), IMAGE, InputKind.IMAGE)


def test_a_decompression_bomb_is_refused_from_its_header(reader: Making) -> None:
    small = png()
    size = struct.pack(">II", 20_000, 20_000)
    header = b"IHDR" + size + small[24:29]
    bomb = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    with pytest.raises(DataError, match="too many pixels"):
        reader().read(task(image=data_uri(bomb)), IMAGE, InputKind.IMAGE)
    with pytest.raises(DataError, match="too many pixels"):
        reader().facts(task(image=data_uri(bomb)), IMAGE)


# --- sound
def wav(samples: np.ndarray, rate: int = 8000, form: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_sound_is_float_samples_by_channels_with_its_rate(reader: Making, form: str) -> None:
    stereo = np.zeros((8000, 2), dtype=np.float32)
    sound = reader().read(task(audio=data_uri(wav(stereo, form=form), "audio/x")), AUDIO, InputKind.AUDIO)
    assert isinstance(sound.value, Audio)
    assert (sound.value.samples.shape[1], sound.value.samples.dtype, sound.value.rate) == (2, np.float32, 8000)
    assert sound.facts.duration_s == pytest.approx(1.0, abs=0.2)
    assert sound.value.mono.shape == (len(sound.value.samples),)


def test_an_array_of_a_sound_is_its_samples(reader: Making) -> None:
    said = reader().read(task(audio=data_uri(wav(np.ones(80) / 2), "audio/wav")), AUDIO, InputKind.ARRAY).value
    assert (said.shape, said.dtype) == ((80, 1), np.float32)
    assert said[0, 0] == pytest.approx(0.5, abs=1e-3)


def test_the_duration_alone_is_known_from_the_header(reader: Making) -> None:
    said = data_uri(wav(np.zeros(4000)), "audio/wav")
    assert reader().facts(task(audio=said), AUDIO).duration_s == 0.5


def test_a_file_that_is_no_sound_is_an_error_with_a_remedy(reader: Making) -> None:
    with pytest.raises(DataError, match=r"the sound cannot be read.*ffmpeg"):
        reader().read(task(audio=data_uri(b"not a sound", "audio/wav")), AUDIO, InputKind.AUDIO)


# --- tables, files, values
SERIES = ObjectTag("ts", "TimeSeries", "ts", {"sep": ";"})


@pytest.mark.parametrize(
    "content",
    [
        {"time": [0, 1], "speed": [2.5, None], "gear": ["a", "b"]},
        [{"time": 0, "speed": 2.5, "gear": "a"}, {"time": 1, "gear": "b"}],
        "time;speed;gear\n0;2.5;a\n1;;b\n",
        '{"time": [0, 1], "speed": [2.5, null], "gear": ["a", "b"]}',
    ],
    ids=["lists", "records", "csv", "json"],
)
def test_a_table_is_columns_by_name(reader: Making, content: Any) -> None:
    table = reader().read(task(ts=content), SERIES, InputKind.TABLE).value
    assert table["time"].tolist() == [0.0, 1.0]
    assert table["speed"][0] == 2.5
    assert np.isnan(table["speed"][1])
    assert table["gear"].tolist() == ["a", "b"]


def test_a_table_is_fetched_and_its_separator_found(reader: Making, site: Site) -> None:
    site.routes["/a.tsv"] = (200, {}, b"1\t2\n3\t4\n")
    plain = ObjectTag("ts", "TimeSeries", "ts")
    table = reader().read(task(ts=f"{site.url}/a.tsv"), plain, InputKind.TABLE).value
    assert {name: column.tolist() for name, column in table.items()} == {"0": [1, 3], "1": [2, 4]}


def test_a_ragged_table_is_an_error_that_names_the_row(reader: Making) -> None:
    with pytest.raises(DataError, match="row 2 of the table has 1 cells, its header 2"):
        reader().read(task(ts="a;b\n1;2\n3\n"), SERIES, InputKind.TABLE)


def test_a_file_is_a_local_copy_with_its_suffix(reader: Making, site: Site) -> None:
    site.routes["/clip.MP4"] = (200, {}, b"frames")
    video = ObjectTag("video", "Video", "video", {"frameRate": "25"})
    resolved = reader().read(task(video=f"{site.url}/clip.MP4?sig=1"), video, InputKind.FILE)
    assert isinstance(resolved.value, Path)
    assert (resolved.value.suffix, resolved.value.read_bytes()) == (".mp4", b"frames")
    assert resolved.facts.fps == 25


def test_a_value_is_the_field_as_it_stands(reader: Making) -> None:
    assert reader().read(task(items=[{"id": 1}]), ObjectTag("l", "List", "items"), InputKind.VALUE).value == [{"id": 1}]


def test_a_task_is_given_whole_and_nothing_is_fetched(reader: Making, site: Site) -> None:
    pointing = task(image=f"{site.url}/a.png")
    assert reader().read(pointing, IMAGE, InputKind.TASK).value is pointing
    assert site.requests == []


CONFIG = parse(
    '<View><Text name="text" value="$text"/><Image name="image" value="$image"/>'
    '<Choices name="c" toName="text"><Choice value="a"/></Choices></View>'
)


def test_an_item_has_every_object_resolved(reader: Making) -> None:
    given = task(text="hello", image=data_uri(png(4, 3)))
    read = reader().input(given, CONFIG, TEXT, InputKind.ITEM, context={"result": []})
    assert isinstance(read.value, Item)
    assert (read.value.value, read.value.values["image"].size) == ("hello", (4, 3))
    assert (read.value.task, read.value.config, read.value.context) == (given, CONFIG, {"result": []})
    assert read.facts["image"].width == 4


def test_an_item_may_lack_what_is_not_primary(reader: Making) -> None:
    assert reader().input(task(text="hello"), CONFIG, TEXT, InputKind.ITEM).value.values == {"text": "hello"}


def test_facts_that_nobody_asked_for_are_not_read(reader: Making, site: Site) -> None:
    site.routes["/a.png"] = (200, {}, png(4, 3))
    read = reader().input(task(text="x", image=f"{site.url}/a.png"), CONFIG, TEXT, InputKind.TASK)
    assert site.requests == []
    assert read.facts["image"].width == 4
    assert read.facts["image"].height == 3
    assert len(site.requests) == 1
    with pytest.raises(KeyError):
        read.facts["sound"]


def test_what_is_cheap_needs_no_thread(reader: Making) -> None:
    cheap = reader().cheap
    assert cheap(task(text="x"), TEXT, InputKind.TEXT)
    assert cheap(task(image="http://a/b.png"), IMAGE, InputKind.TASK)
    assert cheap(task(ts={"a": [1]}), SERIES, InputKind.TABLE)
    assert cheap(task(text="x"), TEXT, InputKind.ITEM)
    assert not cheap(task(image="http://a/b.png"), IMAGE, InputKind.IMAGE)
    assert not cheap(task(image="http://a/b.png"), IMAGE, InputKind.ITEM)
    assert not cheap(task(text="/a.txt"), ObjectTag("t", "Text", "text", {"valueType": "url"}), InputKind.TEXT)


# --- ahead of need
def test_many_are_read_in_order_and_one_failure_costs_one(reader: Making, site: Site) -> None:
    def slow_for_the_first(handler: BaseHTTPRequestHandler) -> None:
        index = int(handler.path.partition("?i=")[2])
        time.sleep(0.05 if index % 3 == 0 else 0)
        body = png(index + 1, 1)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    site.routes["/image"] = slow_for_the_first
    tasks = [Task(i, {"image": f"{site.url}/{'missing' if i == 5 else 'image'}?i={i}"}) for i in range(20)]
    read = list(reader(fetch_threads=4).read_many(tasks, IMAGE, InputKind.IMAGE))
    assert isinstance(read[5], DataError)
    assert read[5].task == 5
    assert [each.value.width for each in read if not isinstance(each, PrelabelError)] == [
        i + 1 for i in range(20) if i != 5
    ]


def test_what_has_come_does_not_wait_for_what_is_slow(reader: Making, site: Site) -> None:
    let = threading.Event()

    def held(handler: BaseHTTPRequestHandler) -> None:
        let.wait()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(png())))
        handler.end_headers()
        handler.wfile.write(png())

    site.routes["/a.png"], site.routes["/held.png"] = (200, {}, png()), held
    tasks = [Task(i, {"image": f"{site.url}/{'a' if i else 'held'}.png?{i}"}) for i in range(200)]
    tasks[7] = Task(7, {"image": f"{site.url}/missing.png"})
    # where one waits for the held one, the held one times out and comes too early
    arriving = reader(fetch_threads=2, fetch_timeout_s=60).arriving(tasks, CONFIG, IMAGE, InputKind.IMAGE)
    come = dict(next(arriving) for _ in range(199))
    let.set()
    come.update(arriving)
    assert list(come)[-1] == 0
    assert sorted(come) == list(range(200))
    assert all(found.task is tasks[i] for i, found in come.items() if isinstance(found, ModelInput))
    assert [i for i, found in come.items() if isinstance(found, PrelabelError)] == [7]


@pytest.mark.parametrize("way", ["inputs", "arriving"])
def test_reading_ahead_is_bounded(reader: Making, site: Site, way: str) -> None:
    site.routes["/a.png"] = (200, {"Cache-Control": "no-store"}, png())
    tasks = [Task(i, {"image": f"{site.url}/a.png?{i}"}) for i in range(100)]
    ahead = getattr(reader(fetch_threads=2), way)(tasks, CONFIG, IMAGE, InputKind.IMAGE)
    next(ahead)
    time.sleep(0.2)
    assert len(site.requests) <= 6
    ahead.close()


def test_a_reader_works_after_a_fork(reader: Making, site: Site) -> None:
    site.routes["/a.png"] = (200, {}, png(4, 3))
    tasks = [Task(i, {"image": f"{site.url}/a.png?{i}"}) for i in range(4)]
    made = reader(fetch_threads=2)
    list(made.read_many(tasks, IMAGE, InputKind.IMAGE))
    made.close()
    made._pid = -1  # as a forked child finds it: nothing of the parent's can be used
    assert all(not isinstance(each, PrelabelError) for each in made.read_many(tasks, IMAGE, InputKind.IMAGE))


# --- the network
def test_a_file_is_fetched_once_while_it_is_fresh(reader: Making, site: Site) -> None:
    site.routes["/a.png"] = (200, {"ETag": '"1"'}, png())
    for _ in range(3):
        reader().read(task(image=f"{site.url}/a.png"), IMAGE, InputKind.IMAGE)
    assert len(site.requests) == 1


def test_many_threads_wanting_one_file_fetch_it_once(reader: Making, site: Site) -> None:
    site.routes["/a.png"] = (200, {}, png())
    list(reader().read_many([task(image=f"{site.url}/a.png")] * 20, IMAGE, InputKind.IMAGE))
    assert len(site.requests) == 1


def test_a_stale_file_is_asked_about_and_kept_when_unchanged(reader: Making, site: Site) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = b"" if handler.headers.get("If-None-Match") == '"1"' else png(4, 3)
        handler.send_response(304 if not body else 200)
        handler.send_header("ETag", '"1"')
        handler.send_header("Cache-Control", "max-age=0")
        if body:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    site.routes["/a.png"] = answer
    for _ in range(3):
        assert reader().read(task(image=f"{site.url}/a.png"), IMAGE, InputKind.IMAGE).value.size == (4, 3)
    assert [headers.get("if-none-match") for _, headers in site.requests] == [None, '"1"', '"1"']


def test_a_changed_file_replaces_the_old_one(reader: Making, site: Site) -> None:
    for width in (4, 5):
        site.routes["/a.png"] = (200, {"ETag": f'"{width}"', "Cache-Control": "no-cache"}, png(width, 3))
        assert reader().read(task(image=f"{site.url}/a.png"), IMAGE, InputKind.IMAGE).value.width == width


def test_the_cache_stays_below_its_size_and_drops_the_least_used(reader: Making, site: Site, tmp_path: Path) -> None:
    noise = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)))
    small = reader(cache_bytes=len(noise) * 4)
    cache = tmp_path / "data" / "cache"

    def age() -> None:
        for path in cache.iterdir():
            stat = path.stat()
            os.utime(path, (stat.st_atime - 10, stat.st_mtime - 10))

    for index in range(8):
        site.routes[f"/{index}.png"] = (200, {}, noise)
        small.read(task(image=f"{site.url}/{index}.png"), IMAGE, InputKind.IMAGE)
        age()
        small.read(task(image=f"{site.url}/0.png"), IMAGE, InputKind.IMAGE)
        age()
        assert sum(path.stat().st_size for path in cache.glob("*.png")) <= len(noise) * 4
    assert [path for path, _ in site.requests].count("/0.png") == 1


def test_without_a_cache_nothing_is_kept(reader: Making, site: Site, tmp_path: Path) -> None:
    site.routes["/a.png"] = (200, {}, png())
    none = reader(cache_bytes=0)
    for _ in range(2):
        assert none.read(task(image=f"{site.url}/a.png"), IMAGE, InputKind.IMAGE).value.size == (4, 3)
    assert list((tmp_path / "data" / "cache").iterdir()) == []
    assert len(site.requests) == 2


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ((404, {}, b""), DataError, "answered 404"),
        ((503, {}, b""), DataUnavailableError, "answered 503"),
        ((429, {}, b""), DataUnavailableError, "answered 429"),
        ((302, {"Location": "file:///etc/passwd"}, b""), DataBlockedError, "not http"),
        ((200, {"Content-Length": "5000"}, b""), DataError, "5,000 bytes, more than the 1,000 bytes allowed"),
    ],
)
def test_what_a_server_refuses_is_an_error_that_says_so(
    reader: Making, site: Site, answer: Any, error: type[DataError], sentence: str
) -> None:
    site.routes["/a.png"] = answer
    with pytest.raises(error, match=sentence) as caught:
        reader(fetch_max_bytes=1000).read(task(image=f"{site.url}/a.png?secret=1"), IMAGE, InputKind.IMAGE)
    assert type(caught.value) is error
    assert "secret" not in str(caught.value)
    assert caught.value.hint or error is DataBlockedError


def chunked(handler: BaseHTTPRequestHandler, pieces: Iterator[bytes]) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        for piece in pieces:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")
    except OSError:
        handler.close_connection = True


def test_a_body_that_does_not_end_is_cut_off_by_size(reader: Making, site: Site) -> None:
    site.routes["/a.png"] = lambda handler: chunked(handler, (b"x" * 1000 for _ in range(10_000)))
    with pytest.raises(DataError, match="larger, more than the 5,000 bytes allowed"):
        reader(fetch_max_bytes=5000).read(task(image=f"{site.url}/a.png"), IMAGE, InputKind.IMAGE)


def test_a_body_that_drips_is_cut_off_by_time(reader: Making, site: Site) -> None:
    sent: list[int] = []

    def drip() -> Iterator[bytes]:
        for number in range(100):
            time.sleep(0.05)
            sent.append(number)
            yield b"x"

    site.routes["/a.png"] = lambda handler: chunked(handler, drip())
    with pytest.raises(DataUnavailableError, match=r"took longer than 0.3 s"):
        reader(fetch_timeout_s=0.3).read(task(image=f"{site.url}/a.png"), IMAGE, InputKind.IMAGE)
    assert len(sent) < 90


def test_a_connection_that_is_refused_is_an_error_that_may_pass(reader: Making) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(DataUnavailableError, match="broke the connection off"):
            reader().read(task(image=f"http://127.0.0.1:{port}/a.png"), IMAGE, InputKind.IMAGE)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("ftp://a/b.png", "is not an address that can be read"),
        ("relative.png", "is not an address that can be read"),
        ("data:nothing", "lacks its comma"),
        ("", "must be an address, not an empty text"),
        ("http://[::1", "is not an address"),
    ],
)
def test_an_address_that_is_none_is_an_error(reader: Making, address: str, sentence: str) -> None:
    with pytest.raises((DataError, TaskError), match=sentence):
        reader().read(task(image=address), IMAGE, InputKind.IMAGE)


def test_a_large_data_uri_is_refused(reader: Making) -> None:
    with pytest.raises(DataError, match="more than the 100 bytes allowed"):
        reader(fetch_max_bytes=100).read(task(image=data_uri(png(200, 200))), IMAGE, InputKind.IMAGE)


# --- the guard
@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_public_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused_in_every_spelling(reader: Making, site: Site, host: str) -> None:
    site.routes["/a.png"] = (200, {}, png())
    port = site.url.rpartition(":")[2]
    guarded = reader(allow_private_addresses=False)
    with pytest.raises(DataBlockedError, match=r"not a public address.*PRELABEL_ALLOW_PRIVATE_ADDRESSES"):
        guarded.read(task(image=f"http://{host}:{port}/a.png"), IMAGE, InputKind.IMAGE)
    assert site.requests == []


def test_files_of_this_machine_are_refused(reader: Making) -> None:
    with pytest.raises(DataBlockedError, match="file:// addresses are not read"):
        reader().read(task(image="file:///etc/passwd"), IMAGE, InputKind.IMAGE)


def test_a_name_is_resolved_once_so_that_it_cannot_change_its_mind(
    reader: Making, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when checked, loopback when connected to."""
    port = int(site.url.rpartition(":")[2])
    answers = ["240.0.0.1", "127.0.0.1"]
    resolve = socket.getaddrinfo
    asked: list[str] = []

    def fickle(host: Any, *arguments: Any, **named: Any) -> Any:
        if host != "pictures.example":
            return resolve(host, *arguments, **named)
        asked.append(host)
        first = answers[min(len(asked) - 1, 1)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (first, port))]

    monkeypatch.setattr(socket, "getaddrinfo", fickle)
    guarded = reader(allow_private_addresses=False, fetch_timeout_s=0.5)
    with pytest.raises(DataBlockedError):
        guarded.read(task(image=f"http://pictures.example:{port}/a.png"), IMAGE, InputKind.IMAGE)
    answers[0] = "192.0.0.9"  # globally reachable by its registry, and nobody is there
    asked.clear()
    with pytest.raises(DataUnavailableError):
        guarded.read(task(image=f"http://pictures.example:{port}/a.png"), IMAGE, InputKind.IMAGE)
    assert asked == ["pictures.example"]
    assert site.requests == []


def test_label_studio_itself_may_be_private_but_its_redirects_may_not(
    reader: Making, site: Site, other_site: Site, studio: LabelStudio
) -> None:
    site.routes["/data/upload/1/a.png"] = (200, {}, png(4, 3))
    site.routes["/data/upload/1/b.png"] = (302, {"Location": f"{other_site.url}/b.png"}, b"")
    guarded = reader(studio, allow_private_addresses=False)
    assert guarded.read(task(image="/data/upload/1/a.png"), IMAGE, InputKind.IMAGE).value.size == (4, 3)
    with pytest.raises(DataBlockedError, match="not a public address"):
        guarded.read(task(image="/data/upload/1/b.png"), IMAGE, InputKind.IMAGE)
    assert other_site.requests == []


# --- Label Studio
def test_an_upload_is_read_with_the_token(reader: Making, site: Site, studio: LabelStudio) -> None:
    site.routes["/data/upload/1/a.png"] = (200, {}, png(4, 3))
    for address in ("/data/upload/1/a.png", f"{site.url}/data/upload/1/a.png", "http://localhost/data/upload/1/a.png"):
        assert reader(studio, cache_bytes=0).read(task(image=address), IMAGE, InputKind.IMAGE).value.size == (4, 3)
    assert {headers["authorization"] for _, headers in site.requests} == {f"Token {TOKEN}"}


def test_the_token_is_not_sent_elsewhere(reader: Making, site: Site, other_site: Site, studio: LabelStudio) -> None:
    site.routes["/data/upload/1/a.png"] = (303, {"Location": f"{other_site.url}/presigned.png"}, b"")
    other_site.routes["/presigned.png"] = (200, {}, png(4, 3))
    made = reader(studio)
    assert made.read(task(image="/data/upload/1/a.png"), IMAGE, InputKind.IMAGE).value.size == (4, 3)
    made.read(task(image=f"{other_site.url}/presigned.png"), IMAGE, InputKind.IMAGE)
    assert all("authorization" not in headers for _, headers in other_site.requests)


@pytest.mark.parametrize(
    "path",
    ["/api/projects/1/export", "/data/upload/../../api/current-user/token", "/data/upload/%2e%2e/api/x", "/user"],
)
def test_a_task_cannot_make_us_read_label_studios_api(
    reader: Making, site: Site, studio: LabelStudio, path: str
) -> None:
    by_url = ObjectTag("text", "Text", "text", {"valueType": "url"})
    for address in (path, site.url + path):
        with pytest.raises(DataBlockedError, match="not where Label Studio keeps task data"):
            reader(studio).read(task(text=address), by_url, InputKind.TEXT)
    assert site.requests == []


@pytest.mark.parametrize("uri", ["s3://bucket/a b.png", "gs://bucket/a.png", "azure-blob://box/a.png"])
def test_cloud_uris_are_resolved_by_label_studio(
    reader: Making, site: Site, other_site: Site, studio: LabelStudio, uri: str
) -> None:
    site.routes["/tasks/7/resolve/"] = (303, {"Location": f"{other_site.url}/signed"}, b"")
    other_site.routes["/signed"] = (200, {}, png(4, 3))
    assert reader(studio).read(task(image=uri), IMAGE, InputKind.IMAGE).value.size == (4, 3)
    asked = site.requests[0][0]
    assert base64.urlsafe_b64decode(asked.partition("fileuri=")[2].replace("%3D", "=")).decode() == uri


def test_without_label_studio_its_files_are_an_error_with_the_remedy(reader: Making) -> None:
    for address in ("/data/upload/1/a.png", "s3://bucket/a.png"):
        with pytest.raises(DataError, match=r"read through Label Studio.*Set LABEL_STUDIO_URL"):
            reader().read(task(image=address), IMAGE, InputKind.IMAGE)


def test_a_refused_token_is_a_data_error_of_that_task(reader: Making, site: Site, studio: LabelStudio) -> None:
    site.routes["/data/upload/1/a.png"] = (401, {}, b'{"detail": "no"}')
    with pytest.raises(DataError) as caught:
        reader(studio).read(task(image="/data/upload/1/a.png"), IMAGE, InputKind.IMAGE)
    assert caught.value.task == 7


# --- local files
@pytest.fixture
def files(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    (root / "set").mkdir(parents=True)
    (root / "set" / "ä b.png").write_bytes(png(4, 3))
    (tmp_path / "secret.png").write_bytes(png(1, 1))
    (root / "set" / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "set" / "inner.png").symlink_to(root / "set" / "ä b.png")
    return root


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=set/%C3%A4%20b.png",
        "/data/local-files/?d=set/inner.png",
        "http://localhost:8080/data/local-files/?d=set/../set/%C3%A4%20b.png",
        "https://labels.example.com/data/local-files?d=/set/%C3%A4%20b.png",
    ],
)
def test_local_files_are_read_directly(reader: Making, files: Path, address: str) -> None:
    made = reader(local_files_root=files, allow_private_addresses=False)
    assert made.read(task(image=address), IMAGE, InputKind.IMAGE).value.size == (4, 3)


@pytest.mark.parametrize("path", ["../secret.png", "set/../../secret.png", "set/link.png", "..%2Fsecret.png"])
def test_nothing_outside_the_local_files_root_is_read(reader: Making, files: Path, path: str) -> None:
    with pytest.raises(DataBlockedError, match=r"leads out of the local files directory"):
        reader(local_files_root=files).read(task(image=f"/data/local-files/?d={path}"), IMAGE, InputKind.IMAGE)


def test_a_local_file_that_is_not_there_is_an_error_with_the_remedy(reader: Making, files: Path) -> None:
    for path in ("set/no.png", "set", "/etc/passwd"):
        with pytest.raises(DataError, match=r"there is no file.*LOCAL_FILES_DOCUMENT_ROOT"):
            reader(local_files_root=files).read(task(image=f"/data/local-files/?d={path}"), IMAGE, InputKind.IMAGE)


def test_local_files_come_through_label_studio_when_their_root_is_not_here(
    reader: Making, site: Site, studio: LabelStudio
) -> None:
    site.routes["/data/local-files/"] = (200, {}, png(4, 3))
    made = reader(studio)
    assert made.read(task(image="/data/local-files/?d=set/a.png"), IMAGE, InputKind.IMAGE).value.size == (4, 3)
    assert site.requests[0][0] == "/data/local-files/?d=set/a.png"
