"""A terminal explorer of saved models: `inspect browse`.

What is shown is decided by plain functions (`outline`, `detail`, `histogram`, `searching`,
`compare`), which need no terminal; `explorer`, `artifacts` and `difference` are the screens around
them, `work` keeps reading away from the screen, `app` is the door. Only what stands in the reports
of `inspector.api` is shown.
"""
