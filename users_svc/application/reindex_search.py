"""An operator has made anew what profiles are searched by."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from users_svc.application.ports import Ports
from users_svc.application.search_ports import Indexed
from users_svc.domain.profile import SearchIndex
from users_svc.domain.visibility import may_see

BATCH = 500


def reindex_search(
    ports: Ports,
    *,
    after: UUID | None = None,
    batch: int = BATCH,
    progress: Callable[[int, UUID], None] = lambda _checked, _last: None,
) -> dict[str, int]:
    """Write for every profile what it should be searched by, if it is not so already.

    It may run beside everything else, and again; what is right is not written. No profile has another version after.

    :param after: the last one of a run that was interrupted; None to begin with the first
    :param progress: called after each batch with the number of profiles so far and the last one's id
    :returns: ``checked`` and ``written``
    """
    checked = written = 0
    while found := ports.search_indexes.after(after, batch):
        wrong = [(each, index) for each in found if (index := _index_of(each)) != each.searched_by]
        if wrong:
            written += ports.search_indexes.write(wrong)
        checked, after = checked + len(found), found[-1].id
        progress(checked, after)
    return {"checked": checked, "written": written}


def _index_of(profile: Indexed) -> SearchIndex:
    names = {"handle": profile.handle, "display_name": profile.display_name}
    public = {name: value for name, value in names.items() if may_see(profile.visibility, name, "anonymous")}
    return SearchIndex.of(public.get("handle"), public.get("display_name"))
