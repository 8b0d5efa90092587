"""The style sheet of the HTML report: the product's tokens, nothing from elsewhere."""

from __future__ import annotations

LIGHT = {
    "bg": "#F5F6F8",
    "surface": "#FFFFFF",
    "line": "#DFE2E8",
    "text": "#15181D",
    "muted": "#5A6170",
    "accent": "#3D52D5",
}
DARK = {
    "bg": "#121418",
    "surface": "#1A1D23",
    "line": "#2E333D",
    "text": "#ECEEF2",
    "muted": "#9BA3B2",
    "accent": "#93A1FF",
}


def _tokens(theme: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in theme.items())


_RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:13px/1.5 system-ui,sans-serif;
  font-variant-numeric:tabular-nums}
main{max-width:1180px;margin:0 auto;padding:32px 24px}
h1{font-size:28px;font-weight:600;line-height:1.2;margin:0 0 4px}
h2{font-size:15px;font-weight:600;margin:0 0 4px}
p{margin:0 0 12px}
.muted,.small{color:var(--muted)}
.small{font-size:12px}
section{background:var(--surface);border:1px solid var(--line);border-radius:10px;
  padding:16px;margin:16px 0}
.key-figures{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));
  gap:16px;padding:0;margin:24px 0}
.key-figures li{display:flex;flex-direction:column}
.key-figures b{font-size:28px;font-weight:600;line-height:1.2}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--line);white-space:nowrap;
  vertical-align:top}
thead th{color:var(--muted);font-weight:600;vertical-align:bottom;white-space:normal}
thead th[scope=colgroup]{text-align:center;color:var(--text)}
thead th.left{text-align:left}
tbody th,.left,tr>th:first-child{text-align:left}
tbody th{font-weight:400}
tr>:first-child{position:sticky;left:0;background:var(--surface)}
tbody tr:last-child>*{border-bottom:0}
td .small{display:block;line-height:1.3}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:24px}
figure{margin:0;min-width:0}
figcaption{font-weight:600;margin-bottom:4px}
.plot{display:block;width:100%;height:auto}
.canvas{fill:#0B0D12}
.grid{stroke:#2E333D;stroke-width:1}
.bar{fill:#9BA3B2;fill-opacity:.25}
.tick{fill:var(--muted);font-size:12px}
.label{fill:var(--muted);font-size:12px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;padding:0 0 0 54px;margin:4px 0 0}
.legend li{display:flex;align-items:center;gap:8px}
.key{width:28px;height:14px;flex:none}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:12px 0}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
ul{padding-left:16px;margin:0 0 12px}
details{margin-top:8px}
details p{margin:8px 0 0;overflow-wrap:anywhere}
summary{cursor:pointer;color:var(--accent)}
summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:700px){main{padding:16px 12px}section{padding:12px}dl{grid-template-columns:1fr}
  dd{margin-bottom:8px}.legend{padding-left:0}}
@media print{body{background:#fff}section{break-inside:avoid}}
"""

STYLE = "".join(
    (
        f":root{{color-scheme:light dark;{_tokens(LIGHT)}}}",
        f"@media (prefers-color-scheme:dark){{:root{{{_tokens(DARK)}}}}}",
        _RULES,
    )
)
