"""Segments of a time series: where a column is far from its mean. `prelabel serve examples/peaks.py`"""

import numpy as np

from prelabel import SeriesSegment

labels = ["Peak"]
outputs = [SeriesSegment]


def predict(tables: list[dict[str, np.ndarray]], deviations: float = 2.0) -> list[list[SeriesSegment]]:
    """Each table is columns by name; segments are in the values of the time column."""
    return [_peaks(table["time"], table["value"], deviations) for table in tables]


def _peaks(time: np.ndarray, value: np.ndarray, deviations: float) -> list[SeriesSegment]:
    high = np.abs(value - value.mean()) > deviations * value.std()
    turns = np.flatnonzero(np.diff(np.concatenate([[0], high, [0]])))
    return [
        SeriesSegment(float(time[first]), float(time[last - 1]), "Peak")
        for first, last in turns.reshape(-1, 2).tolist()
    ]


label_config = """
<View>
  <TimeSeriesLabels name="peaks" toName="series"><Label value="Peak"/></TimeSeriesLabels>
  <TimeSeries name="series" value="$series" valueType="json" timeColumn="time"><Channel column="value"/></TimeSeries>
</View>"""
tasks = [{"series": {"time": list(range(20)), "value": [0] * 10 + [9, 9] + [0] * 8}}]
