"""Tools that run at the provider."""

from loadtest.mock.rich.working import at_work


def test_ids_differ_and_end_with_the_mark() -> None:
    ids = [item["id"] for item, _, _ in at_work("m7")]
    assert len(set(ids)) == len(ids)
    assert all(one.endswith("_m7") for one in ids)


def test_an_item_is_added_with_no_member_that_it_has_not_in_the_end() -> None:
    for item, added, _ in at_work("m7"):
        assert added.keys() <= item.keys()
