"""The page /docs: Swagger UI, which the browser loads from a CDN.

The scripts have the page's permissions, which can be all permissions without authentication. So the version
is pinned, and the browser runs only files with these hashes.
"""

from __future__ import annotations

_FILES = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0"
_STYLE_HASH = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
_SCRIPT_HASH = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"

DOCS_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kelery</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{_FILES}/swagger-ui.css" crossorigin="anonymous" integrity="{_STYLE_HASH}">
</head>
<body>
<div id="swagger-ui">Swagger UI could not be loaded from cdn.jsdelivr.net. The OpenAPI document is at
<a href="openapi.json">openapi.json</a>.</div>
<script src="{_FILES}/swagger-ui-bundle.js" crossorigin="anonymous" integrity="{_SCRIPT_HASH}"></script>
<script>
SwaggerUIBundle({{url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true}})
</script>
</body>
</html>
"""
