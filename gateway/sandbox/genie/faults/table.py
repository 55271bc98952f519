"""The table of all faults. A new one is a class with its point, its sentence and its parameters, and a line here.

Knows the names. Must not know what a fault does.
"""

from collections.abc import Mapping

from gateway.sandbox.genie.faults import answers, entries, refusals, signature, timing, tls, wire
from gateway.sandbox.genie.faults.fault import Fault

# In the order in which faults of one point act.
KINDS: Mapping[str, type[Fault]] = {
    # time
    "latency": timing.Latency,
    "hang_before_accepting": timing.HangBeforeAccepting,
    "timeout_after_accepting": timing.TimeoutAfterAccepting,
    "late_acceptance": timing.LateAcceptance,
    # the whole request is refused
    "too_many_requests": refusals.TooManyRequests,
    "unavailable": refusals.Unavailable,
    "server_error": refusals.ServerError,
    "server_error_after_accepting": refusals.ServerErrorAfterAccepting,
    "bad_gateway": refusals.BadGateway,
    "bad_gateway_after_accepting": refusals.BadGatewayAfterAccepting,
    "client_error": refusals.ClientError,
    "signature_expired": refusals.SignatureExpired,
    "redirect": refusals.Redirect,
    # single entries
    "entry_retry": entries.EntryRetry,
    "entry_rejected": entries.EntryRejected,
    "entry_breaks": entries.EntryBreaks,
    "entry_hangs": entries.EntryHangs,
    "entry_spoils_batch": entries.EntrySpoilsBatch,
    # what an answer says
    "garbage_json": answers.GarbageJson,
    "deep_json": answers.DeepJson,
    "other_json_types": answers.OtherJsonTypes,
    "wrong_content_type": answers.WrongContentType,
    "wrong_date": answers.WrongDate,
    "missing_results": answers.MissingResults,
    "extra_results": answers.ExtraResults,
    "repeated_results": answers.RepeatedResults,
    "reordered_results": answers.ReorderedResults,
    "swapped_results": answers.SwappedResults,
    "wrong_keys": answers.WrongKeys,
    "lookup_processing": answers.LookupProcessing,
    "early_as_of": answers.EarlyAsOf,
    # its signature
    "unsigned_answer": signature.UnsignedAnswer,
    "bad_signature": signature.BadSignature,
    "swapped_signature": signature.SwappedSignature,
    "unknown_key_id": signature.UnknownKeyId,
    "old_signature": signature.OldSignature,
    "wrong_digest": signature.WrongDigest,
    # the connection
    "reset_before_accepting": wire.ResetBeforeAccepting,
    "reset_after_accepting": wire.ResetAfterAccepting,
    "reset_after_bytes": wire.ResetAfterBytes,
    "stall_after_bytes": wire.StallAfterBytes,
    "slow_bytes": wire.SlowBytes,
    "garbage_bytes": wire.GarbageBytes,
    "endless_body": wire.EndlessBody,
    "compressed_bomb": wire.CompressedBomb,
    # TLS
    "wrong_authority": tls.WrongAuthority,
    "expired_certificate": tls.ExpiredCertificate,
    "wrong_host": tls.WrongHost,
    "handshake_refused": tls.HandshakeRefused,
}
