"""The site: ``sphinx-build -W -b html docs site``. What the package knows of itself is read from it."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

import causalformula

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
copyright = f"2026, {author}"
version = release = causalformula.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "records",
]
templates_path = ["_templates"]
exclude_patterns = ["_ext", "_templates"]

# Documents are Markdown. Headings have anchors, so that a link to a section is checked as one to a page is.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings are numpy's; they name the types, so signatures need not.
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = True
add_module_names = False
default_role = "code"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
# No column beside a section of one page, or a wide table.
html_sidebars = {page: [] for page in ("index", "roles", "methods", "results", "from-r", "vignettes/departures")}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "icon_links": [{"name": "Source", "url": PROJECT["urls"]["Source"], "icon": "fa-brands fa-github"}],
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# Pages of names and vignettes that are no more would be warned of as in no table of contents.
shutil.rmtree(HERE / "api" / "generated", ignore_errors=True)
# A page for every vignette, which includes it: under its own name, so that its links to the others hold.
PAGES = HERE / "vignettes"
PAGES.mkdir(exist_ok=True)
for page in PAGES.glob("*.md"):
    if not (HERE.parent / "vignettes" / page.name).exists():
        page.unlink()
for vignette in (HERE.parent / "vignettes").glob("*.md"):
    page = PAGES / vignette.name
    text = f"```{{include}} ../../vignettes/{vignette.name}\n:relative-images:\n```\n"
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def skip_of_others(app, what, name, member, skip, options):
    """Members that a class has from scikit-learn, whose documents are its own."""
    return skip or str(getattr(member, "__module__", "")).startswith("sklearn.") or None


def setup(app):
    """Connect what Sphinx asks of members."""
    app.connect("autodoc-skip-member", skip_of_others)
