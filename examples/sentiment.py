"""Sentiment of texts, in five lines. `prelabel serve examples/sentiment.py`"""

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

analyzer = SentimentIntensityAnalyzer()


def predict(texts: list[str]) -> list[str]:
    return ["Positive" if analyzer.polarity_scores(text)["compound"] >= 0 else "Negative" for text in texts]


label_config = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices>
</View>"""
tasks = [{"text": "What a wonderful day!"}, {"text": "This is terrible."}]
