"""Static files with hashed names, compressed once, ES module imports rewritten to the hashed names."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Imports are found by patterns, in comments too: no module may say "export" above its imports."""

    support_js_module_import_aggregation = True
