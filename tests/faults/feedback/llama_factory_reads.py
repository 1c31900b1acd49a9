"""Run in an environment with LLaMA-Factory: its parser and converter over every file of a release, told as JSON.

Its `data` package asks for torchaudio as soon as it is imported, which neither of the two needs; they are imported past
it. `{file: [[turns of the prompt, answers], ...]}`, of each row; a row that it takes for broken has none of either.
"""

import importlib.util
import json
import os
import sys
import types
from pathlib import Path

os.environ["DISABLE_VERSION_CHECK"] = "1"
package = types.ModuleType("llamafactory.data")
package.__path__ = [f"{importlib.util.find_spec('llamafactory').submodule_search_locations[0]}/data"]
sys.modules["llamafactory.data"] = package

from llamafactory.data.converter import get_dataset_converter  # noqa: E402
from llamafactory.data.parser import get_dataset_list  # noqa: E402


def read(folder: str) -> dict[str, list[tuple[list[str], list[str]]]]:
    names = list(json.loads(Path(folder, "dataset_info.json").read_text()))
    found = {}
    for attributes in get_dataset_list(names, folder):
        convert = get_dataset_converter(attributes.formatting, attributes, types.SimpleNamespace(media_dir=folder))
        lines = Path(folder, attributes.dataset_name).read_text().splitlines()
        rows = [convert(json.loads(line)) for line in lines]
        found[repr(attributes)] = [
            ([turn["role"] for turn in row["_prompt"]], [answer["content"] for answer in row["_response"]])
            for row in rows
        ]
    return found


json.dump(read(sys.argv[1]), sys.stdout)
