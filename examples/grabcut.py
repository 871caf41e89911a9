"""A mask of what is clicked, boxed or painted: OpenCV's GrabCut. `prelabel serve examples/grabcut.py`"""

import cv2
import numpy as np

from prelabel import BoxPrompt, BrushPrompt, EllipsePrompt, Mask, PointPrompt, Prompts

outputs = [Mask]


def encode(image: np.ndarray) -> np.ndarray:
    """Smoothed Lab colours: what every click needs, made once for each image that somebody opens."""
    return cv2.bilateralFilter(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), d=9, sigmaColor=40, sigmaSpace=9)


def predict(image: np.ndarray, prompts: Prompts, encoded: np.ndarray, reach: float = 0.1) -> Mask | None:
    """The object under the prompts; ``reach`` is the radius of what is clicked, as a part of the shorter side."""
    radius = max(int(reach * min(image.shape[:2])), 5)
    seed = _seed(prompts, image.shape[:2], radius)
    if not np.isin(seed, (cv2.GC_FGD, cv2.GC_PR_FGD)).any():
        return None  # only "not here" was said
    rows, columns = (np.flatnonzero((seed != cv2.GC_BGD).any(axis=axis)) for axis in (1, 0))
    window = tuple(slice(max(part[0] - radius, 0), part[-1] + radius) for part in (rows, columns))
    cv2.setRNGSeed(0)
    near, colours, models = seed[window].copy(), encoded[window].copy(), np.zeros((2, 1, 65))
    cv2.grabCut(colours, near, None, models[0], models[1], 5, cv2.GC_INIT_WITH_MASK)
    seed[window] = near
    inside = _touched(np.isin(seed, (cv2.GC_FGD, cv2.GC_PR_FGD)), prompts)
    return Mask(inside) if inside.any() else None


def _seed(prompts: Prompts, size: tuple[int, int], radius: int) -> np.ndarray:
    """What GrabCut starts from: surely or probably background or foreground, for each pixel."""
    seed = np.full(size, cv2.GC_BGD, np.uint8)
    latest = prompts.latest
    if isinstance(latest, BoxPrompt):
        cosine, sine, sides = np.cos(turn := np.deg2rad(latest.rotation)), np.sin(turn), (latest.width, latest.height)
        across, down = cosine * sides[0] - sine * sides[1], sine * sides[0] + cosine * sides[1]  # to the other corner
        middle = (latest.x + across / 2, latest.y + down / 2)
        corners = cv2.boxPoints((middle, sides, latest.rotation))
        cv2.fillConvexPoly(seed, np.rint(corners).astype(np.int32), cv2.GC_PR_BGD)
        cv2.ellipse(seed, (middle, sides, latest.rotation), cv2.GC_PR_FGD, -1)
        cv2.ellipse(seed, (middle, (sides[0] / 5, sides[1] / 5), latest.rotation), cv2.GC_FGD, -1)
    elif isinstance(latest, EllipsePrompt):
        middle, radii = (latest.x, latest.y), (2 * latest.radius_x, 2 * latest.radius_y)
        cv2.ellipse(seed, (middle, radii, latest.rotation), cv2.GC_PR_FGD, -1)
    elif isinstance(latest, BrushPrompt):
        around = cv2.distanceTransform((~latest.mask).astype(np.uint8), cv2.DIST_L2, 3)
        seed[around < 2 * radius], seed[around < radius / 2], seed[around == 0] = (
            cv2.GC_PR_BGD, cv2.GC_PR_FGD, cv2.GC_FGD,
        )  # fmt: skip
    clicks = prompts.points if isinstance(latest, PointPrompt) else []
    for value, part in ((cv2.GC_PR_BGD, 2.0), (cv2.GC_PR_FGD, 0.8), (cv2.GC_FGD, 0.2)):
        for click in clicks:
            if click.positive:
                cv2.circle(seed, (int(click.x), int(click.y)), int(radius * part), value, -1)
    for click in clicks:
        if not click.positive:
            cv2.circle(seed, (int(click.x), int(click.y)), radius // 3, cv2.GC_BGD, -1)
    return seed


def _touched(inside: np.ndarray, prompts: Prompts) -> np.ndarray:
    """Of separate parts those that were clicked; of a box or a stroke the largest."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    clicked = {int(parts[int(click.y), int(click.x)]) for click in prompts.points if click.positive} - {0}
    if not clicked and count > 1:
        clicked = {1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())}
    return np.isin(parts, list(clicked))


label_config = """
<View>
  <Image name="image" value="$image"/>
  <KeyPointLabels name="point" toName="image" smart="true"><Label value="Coin"/><Label value="Other"/></KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true"><Label value="Coin"/><Label value="Other"/></RectangleLabels>
  <BrushLabels name="mask" toName="image"><Label value="Coin"/><Label value="Other"/></BrushLabels>
</View>"""
