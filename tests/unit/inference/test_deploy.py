"""The configurations in deploy/ can be read, and name the model that the rest of the product names."""

from __future__ import annotations

from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
MODEL = "smollm2-135m-instruct"


def test_both_serve_the_same_model_from_the_same_folder_with_the_same_engine() -> None:
    one = yaml.safe_load((DEPLOY / "vllm.yaml").read_text())
    application = yaml.safe_load((DEPLOY / "ray-serve.yaml").read_text())["applications"][0]
    (many,) = application["args"]["llm_configs"]
    assert application["import_path"] == "ray.serve.llm:build_openai_app"
    assert one["served-model-name"] == many["model_loading_config"]["model_id"] == MODEL
    assert one["model"] == many["model_loading_config"]["model_source"]
    shared = {name.replace("-", "_"): value for name, value in one.items()}
    assert {name: shared[name] for name in many["engine_kwargs"]} == many["engine_kwargs"]
