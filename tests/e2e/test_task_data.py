"""Task data where a real Label Studio keeps it: uploads, local files storage, cloud storage with signed addresses."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from prelabel.data import DataReader
from prelabel.labeling import parse
from prelabel.labelstudio import LabelStudio
from prelabel.model import InputKind
from prelabel.settings import load_settings
from prelabel.tasks import Task

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="c" toName="image"><Choice value="a"/></Choices></View>'
)
TAG = parse(CONFIG).objects["image"]


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def reader(label_studio: LabelStudioServer, tmp_path: Path) -> Iterator[DataReader]:
    """A guarded reader that knows this Label Studio, on loopback, and no other private address."""
    with LabelStudio(label_studio.url, label_studio.token) as client:
        made = DataReader(load_settings(data_dir=tmp_path), lambda: client)
        yield made
        made.close()


def only_task(project: Any) -> Task:
    listed = project.api.get("/api/tasks", params={"project": project.id, "fields": "all"}).json()["tasks"]
    assert len(listed) == 1
    return Task.from_json(listed[0])


def test_an_uploaded_file_is_read_with_our_token(project: Any, reader: DataReader) -> None:
    made = project(CONFIG)
    upload = {"photo one.png": ("photo one.png", png(33, 22), "image/png")}
    made.api.post(f"/api/projects/{made.id}/import", files=upload).raise_for_status()
    assert reader.read(only_task(made), TAG, InputKind.IMAGE).value.size == (33, 22)


def test_local_files_storage_is_read_through_label_studio_and_directly(
    label_studio: LabelStudioServer, project: Any, reader: DataReader, tmp_path: Path
) -> None:
    root = label_studio.local_files_root
    if root is None:
        pytest.skip("this Label Studio serves no local files")
    folder = Path(root) / "pictures"
    folder.mkdir(exist_ok=True)
    (folder / "ä b.png").write_bytes(png(12, 34))
    made = project(CONFIG)
    storage = made.api.post(
        "/api/storages/localfiles",
        json={"project": made.id, "path": str(folder), "use_blob_urls": True, "regex_filter": ".*png"},
    )
    storage.raise_for_status()
    made.api.post(f"/api/storages/localfiles/{storage.json()['id']}/sync").raise_for_status()
    task = only_task(made)
    assert "/data/local-files/" in task.data["image"]
    assert reader.read(task, TAG, InputKind.IMAGE).value.size == (12, 34)
    directly = DataReader(load_settings(data_dir=tmp_path / "other", local_files_root=root))
    assert directly.read(task, TAG, InputKind.IMAGE).value.size == (12, 34)
    directly.close()


@pytest.fixture
def bucket() -> Iterator[str]:
    """The little of S3 that Label Studio asks of a bucket; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            signed = "signature" in self.path.lower()
            listing = (
                b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                b"<Name>pictures</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>"
                b"<Contents><Key>a b.png</Key><Size>1</Size></Contents></ListBucketResult>"
            )
            picture = "a%20b.png" in self.path
            body = png(7, 9) if picture else listing
            self.send_response(200 if signed or not picture else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_cloud_uri_is_resolved_to_a_signed_address(
    label_studio: LabelStudioServer, project: Any, bucket: str, tmp_path: Path
) -> None:
    made = project(CONFIG)
    made.api.post(
        "/api/storages/s3",
        json={
            "project": made.id,
            "bucket": "pictures",
            "s3_endpoint": bucket,
            "region_name": "us-east-1",
            "aws_access_key_id": "dummy",
            "aws_secret_access_key": "dummy",
            "presign": True,
        },
    ).raise_for_status()
    (task_id,) = made.import_tasks([{"image": "s3://pictures/a b.png"}])
    task = Task(task_id, {"image": "s3://pictures/a b.png"}, made.id)
    with LabelStudio(label_studio.url, label_studio.token) as client:
        reader = DataReader(load_settings(data_dir=tmp_path, allow_private_addresses=True), lambda: client)
        assert reader.read(task, TAG, InputKind.IMAGE).value.size == (7, 9)
        reader.close()
