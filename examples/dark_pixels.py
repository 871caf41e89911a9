"""A mask on images, as an array: everything dark. `prelabel serve examples/dark_pixels.py --opt threshold=50`"""

import base64
import io

import numpy as np
from PIL import Image

from prelabel import Mask

labels = ["Dark"]
outputs = [Mask]


def predict(images: list[np.ndarray], threshold: int = 80) -> list[Mask]:
    """Images are uint8 ``[height, width, 3]``; further parameters are options."""
    return [Mask(image.mean(axis=2) < threshold, "Dark") for image in images]


label_config = """
<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="mask" toName="image"><Label value="Dark"/></BrushLabels>
</View>"""


def _sample() -> str:
    picture = Image.new("RGB", (64, 48), "white")
    picture.paste("black", (10, 10, 30, 40))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


tasks = [{"image": _sample()}]
