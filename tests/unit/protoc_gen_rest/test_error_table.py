from number_verification import errors
from protoc_gen_rest.error_table import ERRORS, EVERYWHERE, INTERNAL, PUBLIC, STATUS_TEXTS, WITH_BODY


def test_the_documents_and_the_service_know_the_same_errors() -> None:
    served = {error.code: (error.http_status, error.message) for error in errors.TABLE.values()}
    assert {code: tuple(row) for code, row in ERRORS.items()} == served


def test_every_code_that_is_used_is_known() -> None:
    assert {*EVERYWHERE, *INTERNAL, *PUBLIC, *WITH_BODY} <= ERRORS.keys()
    assert {row.status for row in ERRORS.values()} == STATUS_TEXTS.keys()
