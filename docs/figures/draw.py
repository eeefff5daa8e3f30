"""Draw the figure the README shows: the curves of the employment-agency study, as its English report has them."""

import re
from pathlib import Path

HERE = Path(__file__).parent
REPORT = HERE.parents[1] / "reports" / "employment-agency" / "output" / "release" / "report.en.html"

pictures = re.findall(r"<svg .*?</svg>", REPORT.read_text(encoding="utf-8"), flags=re.DOTALL)
(curves,) = [picture for picture in pictures if 'id="curves-title"' in picture]
(HERE / "curves.en.svg").write_text(f"{curves}\n", encoding="utf-8")
