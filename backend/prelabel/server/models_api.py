"""Models, ontologies and saved slices over HTTP.

```
POST   /api/v1/ontologies                 {"label_config", "ontology" or "project"} -> 201, the ontology
GET    /api/v1/ontologies/{number}        the ontology
GET    /api/v1/models                     a page of models; ?name=
POST   /api/v1/models                     {"name", "label_config", "ontology" or "ontology_id"} -> 201, the model
GET    /api/v1/models/{model}             the model with its ontology
DELETE /api/v1/models/{model}             204; with its runs
GET    /api/v1/models/{model}/slices      its saved slices
POST   /api/v1/models/{model}/slices      {"name", "condition"} -> 201, the slice
DELETE /api/v1/models/{model}/slices      204; ?name=
```
A model is named in the path, or, where its name has a slash, given as ``id:NUMBER``.
"""

from __future__ import annotations

from flask import Blueprint

from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.held import OntologyRow
from prelabel.server import runs_answers as answers
from prelabel.server import runs_forms as forms
from prelabel.server.operations import LARGEST, Operation, operation, read_body, read_query
from prelabel.server.runs_access import Runs, Said, said


def models_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``models``."""
    api = Blueprint("models", __name__, url_prefix="/api/v1")
    _ontologies(api, runs)
    _models(api, runs)
    _slices(api, runs)
    return api


def _ontologies(api: Blueprint, runs: Runs) -> None:
    @api.post("/ontologies")
    @operation(
        Operation(
            "Make an ontology: what may be said.",
            body=forms.NewOntology,
            answer=answers.OntologyAnswer,
            status=201,
            errors=(400, 422, 502),
        )
    )
    def create_ontology() -> tuple[Said, int]:
        new = read_body(forms.NewOntology)
        if sum(source is not None for source in (new.label_config, new.ontology, new.project)) != 1:
            raise RequestError("give one of 'label_config', 'ontology' and 'project'.")
        source = new.label_config if new.label_config is not None else new.ontology
        made = runs.client.create_ontology(source, project_id=new.project, name=new.name)
        return said(answers.OntologyAnswer.model_validate(made)), 201

    @api.get("/ontologies/<int:number>")
    @operation(Operation("Show an ontology.", answer=answers.OntologyAnswer, errors=(404,)))
    def ontology(number: int) -> Said:
        if number > LARGEST:
            raise NotFoundError(f"there is no ontology {number}.")
        return said(answers.OntologyAnswer.model_validate(runs.client.registry.ontology(number)))


def _models(api: Blueprint, runs: Runs) -> None:
    @api.get("/models")
    @operation(Operation("List models by name.", query=forms.Names, answer=answers.ModelsAnswer))
    def models() -> Said:
        page = read_query(forms.Names)
        known = runs.client.registry.models()
        rows = [row for row in known if row.name > page.after and page.name in (None, row.name)]
        found = [answers.ModelAnswer.model_validate(row) for row in rows[: page.limit]]
        after = found[-1].name if len(rows) > page.limit else None
        return said(answers.ModelsAnswer(models=found, after=after))

    @api.post("/models")
    @operation(
        Operation(
            "Make a model, with what it may say.",
            body=forms.NewModel,
            answer=answers.ModelInFull,
            status=201,
            errors=(400, 404, 422),
        )
    )
    def create_model() -> tuple[Said, int]:
        new = read_body(forms.NewModel)
        given = {"label_config", "ontology", "ontology_id"} & new.model_fields_set
        source = new.label_config if new.label_config is not None else new.ontology
        if len(given) != 1 or (source is None and given != {"ontology_id"}):
            raise RequestError("give either 'label_config' or 'ontology' or 'ontology_id'.")
        client = runs.client
        ontology: OntologyRow | None = None
        if source is not None:
            ontology = client.create_ontology(source, name=new.name)
        elif new.ontology_id is not None:
            ontology = client.registry.ontology(new.ontology_id)
        client.create_model(new.name, ontology)
        return _model(runs, new.name), 201

    @api.get("/models/<model>")
    @operation(Operation("Show a model with its ontology.", answer=answers.ModelInFull, errors=(404,)))
    def model(model: str) -> Said:
        return _model(runs, runs.model(model).name)

    @api.delete("/models/<model>")
    @operation(Operation("Delete a model with its runs.", status=204, errors=(400, 404)))
    def delete_model(model: str) -> tuple[str, int]:
        runs.model(model).delete()
        return "", 204


def _model(runs: Runs, name: str) -> Said:
    registry = runs.client.registry
    row = registry.model(name)
    ontology = registry.ontology(row.ontology) if row.ontology is not None else None
    found = answers.OntologyAnswer.model_validate(ontology) if ontology is not None else None
    return said(answers.ModelInFull(id=row.id, name=row.name, created_at=row.created_at, ontology=found))


def _slices(api: Blueprint, runs: Runs) -> None:
    @api.get("/models/<model>/slices")
    @operation(Operation("List a model's saved slices.", answer=answers.SlicesAnswer, errors=(404,)))
    def slices(model: str) -> Said:
        from prelabel.analysis.slices import READY  # noqa: PLC0415 (NumPy, for those who ask)

        found = [answers.SliceAnswer.model_validate(one) for one in runs.model(model).slices()]
        return said(answers.SlicesAnswer(slices=found, ready={name: one.condition for name, one in READY.items()}))

    @api.post("/models/<model>/slices")
    @operation(
        Operation(
            "Save a condition under a name, for all runs of a model.",
            body=forms.SavedCondition,
            answer=answers.SliceAnswer,
            status=201,
            errors=(400, 404),
        )
    )
    def save_slice(model: str) -> tuple[Said, int]:
        new = read_body(forms.SavedCondition)
        return said(answers.SliceAnswer.model_validate(runs.model(model).save_slice(new.name, new.condition))), 201

    @api.delete("/models/<model>/slices")
    @operation(Operation("Delete a saved slice.", query=forms.SliceName, status=204, errors=(400, 404)))
    def delete_slice(model: str) -> tuple[str, int]:
        runs.model(model).delete_slice(read_query(forms.SliceName).name)
        return "", 204
