"""Spans of a text: finds dates by pattern, one text a call. `prelabel serve examples/dates.py:find_dates`"""

import re

from prelabel import Span

PATTERN = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}\.\d{1,2}\.\d{4}\b")

labels = ["Date"]


def find_dates(text: str) -> list[Span]:
    return [Span(match.start(), match.end(), "Date") for match in PATTERN.finditer(text)]


label_config = """
<View>
  <Labels name="entities" toName="text"><Label value="Date"/></Labels>
  <Text name="text" value="$text"/>
</View>"""
tasks = [{"text": "Born on 1999-12-31, moved on 1.2.2003."}, {"text": "No date."}]
