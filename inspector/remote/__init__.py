"""Files that are elsewhere: in object storage, on a web server, in an archive (fsspec's URLs).

Nothing here is imported for a path of this machine. `urls.py` says what a URL's parts are, and what
of it is a secret; `doors.py` which storage may be asked at all; `storages.py` asks it through
fsspec, again where it fails (`failures.py`); `listing.py` knows what lies where; `source.py` reads
in ranges (`pages.py`, `streams.py`); `kept.py` keeps copies, where somebody wants that.
"""
