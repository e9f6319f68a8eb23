"""The page at /docs: Swagger UI, which the browser fetches from a CDN.

The scripts run with the rights of the page, which may be everything where there is no authentication. So the
version is fixed, and the browser runs nothing but the files with these hashes.
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
<div id="swagger-ui">The API is described in <a href="openapi.json">openapi.json</a>. This page reads it with
Swagger UI, which is fetched from cdn.jsdelivr.net; it seems that it cannot be reached.</div>
<script src="{_FILES}/swagger-ui-bundle.js" crossorigin="anonymous" integrity="{_SCRIPT_HASH}"></script>
<script>
SwaggerUIBundle({{url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true}})
</script>
</body>
</html>
"""
