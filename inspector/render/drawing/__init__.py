"""Pictures as geometry: what a report says, as boxes, lines and texts in units of a view box.

Pure functions from the report's types to frozen shapes; `html/templates/drawings.html` prints them
as SVG. Colours are classes (`role-mask`, `kept`, `zero`), which the page's style sheet fills. Every
text of a file is made safe and cut to the room that it has here.
"""
