"""Labelbox's formats: NDJSON rows and ontologies in and out, and their counterparts in Label Studio.

```
ontology JSON ──▶ Ontology ◀──▶ labeling config
SDK objects ────▶ NDJSON line ──▶ reading: checks ──▶ Row ◀──▶ Label Studio's regions
                                                     └──▶ writing: NDJSON line
```
"""
