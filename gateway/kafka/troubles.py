"""What each error of Kafka means to the gateway: the one table, and what follows from it in three places.

| trouble | asking (connection.py) | a lane's transaction (transactions.py) | reading (source.py, consent_view.py) |
|---|---|---|---|
| PASSING | again, within the call's bound | doubtful | again |
| REFUSED | KafkaRefusedError: the process ends | doubtful | inputs: the process ends; the view holds |
| FENCED | KafkaUnavailableError | Fenced: doubtful, and never taken back in haste | - |
| OUT_OF_LOG | whoever asked knows | - | an open lane ends the process, the view is rebuilt |
| UNEXPECTED | KafkaUnavailableError at once | doubtful | inputs: the process ends; the view holds |

A call that has no clear answer within its bound is KafkaUnavailableError, or in a transaction doubtful. Doubtful: the
lane opens again, once a minute; more often, or when the group no longer knows us, the process ends (lane_driver.py).
How an end of the process is told and with which exit status: cli/serve.py.

Knows aiokafka's errors and the brokers' codes. Must not know who asks, or waits how long.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from enum import Enum

from aiokafka import errors
from aiokafka.errors import KafkaError


class Trouble(Enum):
    """What an error means."""

    PASSING = "it passes by itself: ask again"
    REFUSED = "we are not known or not allowed, or may not take what is there: waiting does not help"
    FENCED = "a newer owner took over, or the transaction was open too long"
    OUT_OF_LOG = "the offset is not, or no longer, in the log"
    UNEXPECTED = "a fault of ours, of the client library or of a broker: do not ask again"


class PassingError(errors.UnknownError):
    """A passing state that aiokafka has no error for, or an answer that leaves out what was asked for."""

    retriable = True


class InflationError(KafkaError):
    """A compressed batch is damaged, or unpacks to more than it may."""


# Codes that aiokafka calls unknown: fenced or unknown leader epoch, offset not available, unstable offset commit.
_NAMELESS_AND_PASSING = frozenset({74, 75, 78, 88})

_TABLE: Mapping[Trouble, tuple[type[Exception], ...]] = {
    Trouble.PASSING: (
        PassingError,
        OSError,
        # the way to the brokers
        errors.KafkaConnectionError,
        errors.NodeNotReadyError,
        errors.NoBrokersAvailable,
        errors.BrokerNotAvailableError,
        errors.MetadataEmptyBrokerList,
        errors.StaleMetadata,
        errors.Cancelled,
        errors.TooManyInFlightRequests,
        errors.CorrelationIdError,
        errors.KafkaProtocolError,
        errors.KafkaTimeoutError,
        errors.KafkaUnavailableError,
        errors.RequestTimedOutError,
        # leaders, replicas and coordinators that move
        errors.UnknownTopicOrPartitionError,
        errors.LeaderNotAvailableError,
        errors.NotLeaderForPartitionError,
        errors.ReplicaNotAvailableError,
        errors.NotEnoughReplicasError,
        errors.NotEnoughReplicasAfterAppendError,
        errors.NotControllerError,
        errors.KafkaStorageError,
        errors.GroupLoadInProgressError,
        errors.GroupCoordinatorNotAvailableError,
        errors.NotCoordinatorForGroupError,
    ),
    Trouble.REFUSED: (
        InflationError,
        ssl.SSLError,
        errors.AuthenticationFailedError,
        errors.AuthenticationMethodNotSupported,
        errors.SaslAuthenticationFailed,
        errors.UnsupportedSaslMechanismError,
        errors.IllegalSaslStateError,
        errors.SecurityDisabled,
        errors.TopicAuthorizationFailedError,
        errors.GroupAuthorizationFailedError,
        errors.ClusterAuthorizationFailedError,
        errors.TransactionalIdAuthorizationFailed,
    ),
    Trouble.FENCED: (errors.ProducerFenced, errors.InvalidProducerEpoch),
    Trouble.OUT_OF_LOG: (errors.OffsetOutOfRangeError, errors.NoOffsetForPartitionError),
    Trouble.UNEXPECTED: (
        KafkaError,
        errors.BrokerResponseError,
        errors.NoError,
        errors.UnknownError,
        # of the client library
        errors.IllegalStateError,
        errors.IllegalArgumentError,
        errors.KafkaConfigurationError,
        errors.CommitFailedError,
        errors.ProducerClosed,
        errors.RecordTooLargeError,
        errors.QuotaViolationError,
        # releases that don't fit
        errors.UnrecognizedBrokerVersion,
        errors.IncompatibleBrokerVersion,
        errors.UnsupportedVersionError,
        errors.UnsupportedForMessageFormatError,
        errors.UnsupportedCodecError,
        # what was sent, or lies there
        errors.CorruptRecordException,
        errors.InvalidFetchRequestError,
        errors.MessageSizeTooLargeError,
        errors.RecordListTooLargeError,
        errors.OffsetMetadataTooLargeError,
        errors.InvalidCommitOffsetSizeError,
        errors.InvalidRequiredAcksError,
        errors.InvalidTimestampError,
        errors.InvalidRequestError,
        # transactions out of step
        errors.OutOfOrderSequenceNumber,
        errors.DuplicateSequenceNumber,
        errors.UnknownProducerId,
        errors.InvalidProducerIdMapping,
        errors.InvalidTransactionTimeout,
        errors.InvalidTxnState,
        errors.ConcurrentTransactions,
        errors.TransactionCoordinatorFenced,
        errors.OperationNotAttempted,
        # the group; aiokafka's consumer joins again by itself
        errors.IllegalGenerationError,
        errors.InconsistentGroupProtocolError,
        errors.InvalidGroupIdError,
        errors.UnknownMemberIdError,
        errors.MemberIdRequired,
        errors.InvalidSessionTimeoutError,
        errors.RebalanceInProgressError,
        errors.NonEmptyGroup,
        errors.GroupIdNotFound,
        # administration, which the gateway leaves alone
        errors.InvalidTopicError,
        errors.TopicAlreadyExistsError,
        errors.InvalidPartitionsError,
        errors.InvalidReplicationFactorError,
        errors.InvalidReplicationAssignmentError,
        errors.InvalidConfigurationError,
        errors.PolicyViolationError,
        errors.ReassignmentInProgress,
        errors.LogDirNotFound,
        errors.DelegationTokenAuthDisabled,
        errors.DelegationTokenNotFound,
        errors.DelegationTokenOwnerMismatch,
        errors.DelegationTokenRequestNotAllowed,
        errors.DelegationTokenAuthorizationFailed,
        errors.DelegationTokenExpired,
        errors.InvalidPrincipalType,
        # between brokers
        errors.StaleControllerEpochError,
        errors.StaleLeaderEpochCodeError,
        errors.FetchSessionIdNotFound,
        errors.InvalidFetchSessionEpoch,
        errors.ListenerNotFound,
    ),
}
TROUBLES: Mapping[type[Exception], Trouble] = {kind: trouble for trouble, kinds in _TABLE.items() for kind in kinds}


def trouble_of(error: BaseException) -> Trouble:
    """What an error means; that of the nearest class in the table."""
    return next((TROUBLES[kind] for kind in type(error).__mro__ if kind in TROUBLES), Trouble.UNEXPECTED)


def raise_for(code: int) -> None:
    """Raise what a broker's error code stands for; 0 is none."""
    if code in _NAMELESS_AND_PASSING:
        raise PassingError
    if code:
        raise errors.for_code(code)


_NOT_ALLOWED = "`gateway topics acls` prints what this user must be allowed, `gateway check` what of it is missing"
# What an error says of who we are or what we may do; the first row that fits.
_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        "its certificate is of no authority in kafka.ca_file, is not valid now, or is for another host than "
        "kafka.bootstrap_servers names",
    ),
    (
        ssl.SSLError,
        "no TLS is spoken there, or our certificate is refused: check kafka.security_protocol, the port in "
        "kafka.bootstrap_servers, and kafka.client_cert_file",
    ),
    (
        errors.SaslAuthenticationFailed,
        "login refused: check kafka.sasl_username and what kafka.sasl_password_file holds",
    ),
    (
        errors.UnsupportedSaslMechanismError,
        "the brokers do not offer kafka.sasl_mechanism: change it, or enable it there",
    ),
    (errors.IllegalSaslStateError, "no login is taken there: check kafka.security_protocol and the port"),
    (errors.TopicAuthorizationFailedError, _NOT_ALLOWED),
    (errors.GroupAuthorizationFailedError, _NOT_ALLOWED),
    (errors.ClusterAuthorizationFailedError, _NOT_ALLOWED),
    (errors.TransactionalIdAuthorizationFailed, _NOT_ALLOWED),
    (
        InflationError,
        "set compression.type=uncompressed on every topic that is read (`gateway check` names the topic), find out who "
        "wrote it, then pass it by with `gateway lanes init --lane ... --from ... --force --reason ... --ticket ...`",
    ),
    (KafkaError, "check kafka.security_protocol and the login"),
)


def remedy(refused: Exception) -> str:
    """What to do about a REFUSED one."""
    return next(sentence for kind, sentence in _REFUSALS if isinstance(refused, kind))
