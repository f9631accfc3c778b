"""The bill of materials of what a release was tested with: `uv export` on stdin, the same bytes for the same uv.lock on stdout.

uv stamps each export with a number and a time of its own; without them a second build differs in nothing.
"""

from __future__ import annotations

import json
import sys

bill = json.load(sys.stdin)
del bill["serialNumber"], bill["metadata"]["timestamp"]
json.dump(bill, sys.stdout, indent=2, sort_keys=True)
sys.stdout.write("\n")
