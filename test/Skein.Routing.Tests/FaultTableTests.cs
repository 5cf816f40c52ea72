using Grpc.Core;
using Skein.Protocol;

namespace Skein.Routing.Tests;

/// <summary>Pins what clients, other releases and dashboards depend on.</summary>
public sealed class FaultTableTests
{
    // fault: name, class, HTTP, OpenAI type, code, gRPC towards clients, gRPC and reason from replica to gateway, may be poison
    private const string Pinned =
        """
        Unreachable: unreachable, Connection, 502, server_error, stream_lost, Aborted, Unavailable ENGINE_UNREACHABLE, False
        ConnectionLost: connection_lost, Connection, 502, server_error, stream_lost, Aborted, Unavailable ENGINE_LOST, True
        LinkStall: link_stall, Connection, 502, server_error, stream_lost, Aborted,  , True
        EngineStall: engine_stall, Engine, 502, server_error, stream_lost, Aborted,  , True
        EngineFailed: engine_error, Engine, 502, server_error, stream_lost, Aborted, Internal ENGINE_FAILED, True
        EngineTimedOut: engine_error, Engine, 502, server_error, stream_lost, Aborted,  , True
        EngineBusy: engine_busy, Engine, 503, server_error, engine_busy, Unavailable, Unavailable ENGINE_BUSY, False
        EngineKeyRefused: engine_key_refused, Engine, 502, server_error, engine_key_refused, Internal, Internal ENGINE_KEY_REFUSED, False
        NoFinish: no_finish, Engine, 502, server_error, stream_lost, Aborted,  , True
        ProtocolError: protocol_error, Engine, 502, server_error, stream_lost, Aborted,  , True
        Draining: draining, ReplicaState, 502, server_error, stream_lost, Aborted, Unavailable DRAINING, False
        ModelNotFound: model_gone, ReplicaState, 404, invalid_request_error, model_not_found, NotFound, NotFound MODEL_NOT_FOUND, False
        ResumeRefused: resume_refused, ReplicaState, 502, server_error, stream_lost, Aborted, FailedPrecondition RESUME_REFUSED, False
        StandbyNotFound: resume_refused, ReplicaState, 502, server_error, stream_lost, Aborted, NotFound HOLD_REFUSED, False
        StandbyExists: resume_refused, ReplicaState, 502, server_error, stream_lost, Aborted, AlreadyExists HOLD_REFUSED, False
        StandbyTaken: resume_refused, ReplicaState, 502, server_error, stream_lost, Aborted, FailedPrecondition HOLD_REFUSED, False
        StandbyExpired: resume_refused, ReplicaState, 502, server_error, stream_lost, Aborted, Aborted HOLD_REFUSED, False
        Straggler: straggler, ReplicaState, 502, server_error, stream_lost, Aborted,  , True
        NoSlot: no_slot, Capacity, 502, server_error, stream_lost, Aborted, ResourceExhausted , False
        QueueFull: queue_full, Capacity, 429, rate_limit_error, queue_full, ResourceExhausted,  , False
        QueueTimeout: queue_timeout, Capacity, 429, rate_limit_error, queue_timeout, ResourceExhausted,  , False
        NoReplica: no_replica, Capacity, 503, server_error, no_replica, Unavailable,  , False
        TooManySessions: too_many_sessions, Capacity, 503, server_error, too_many_sessions, Unavailable,  , False
        KeyLimit: key_limit, Capacity, 429, rate_limit_error, rate_limit_exceeded, ResourceExhausted,  , False
        KeyForbidsModel: key_forbids_model, Request, 403, invalid_request_error, model_not_allowed, PermissionDenied,  , False
        InvalidRequest: invalid_request, Request, 400, invalid_request_error, invalid_request_error, InvalidArgument, InvalidArgument INVALID_REQUEST, False
        Unsupported: unsupported, Request, 400, invalid_request_error, invalid_request_error, InvalidArgument, InvalidArgument UNSUPPORTED, False
        ContextLengthExceeded: context_length_exceeded, Request, 400, invalid_request_error, context_length_exceeded, FailedPrecondition, FailedPrecondition CONTEXT_LENGTH_EXCEEDED, False
        Cancelled: cancelled, Client, 499, invalid_request_error, cancelled, Cancelled,  , False
        DeadlineExceeded: deadline_exceeded, Client, 504, server_error, deadline_exceeded, DeadlineExceeded,  , False
        SlowClient: slow_client, Client, 408, server_error, slow_client, Aborted,  , False
        StreamLost: stream_lost, Gateway, 502, server_error, stream_lost, Aborted,  , False
        Internal: internal_error, Gateway, 500, server_error, internal_error, Internal,  , False
        """;

    [Fact]
    public void All_EveryRow_IsAsPinned() => Assert.Equal(
        Pinned.Split('\n', StringSplitOptions.TrimEntries),
        FaultTable.All.Select(row =>
            $"{row.Fault}: {row.Name}, {row.Class}, {row.Client.Http}, {row.Client.Type}, {row.Client.Code}, {row.Client.Grpc}, {row.Status} {row.Reason}, {row.MayBePoison}"));

    /// <summary>A client over the limits of its key ended a rollout of healthy replicas.</summary>
    [Fact]
    public void IsFailureCode_LimitOfAKey_IsNone()
    {
        Assert.False(FaultTable.IsFailureCode(FaultTable.Of(Fault.KeyLimit).Client.Code));
        Assert.True(FaultTable.IsFailureCode(FaultTable.Of(Fault.QueueFull).Client.Code));
        Assert.True(FaultTable.IsFailureCode(FaultTable.Of(Fault.EngineKeyRefused).Client.Code));
    }

    [Fact]
    public void Of_EveryFault_IsItsOwnRow() => Assert.All(Enum.GetValues<Fault>(), fault => Assert.Equal(fault, FaultTable.Of(fault).Fault));

    [Fact]
    public void OfAttempts_Names_AreThoseOfTheFailoverMetric() => Assert.Equal(
        ["unreachable", "connection_lost", "link_stall", "engine_stall", "engine_error", "engine_busy", "engine_key_refused", "no_finish", "protocol_error", "draining", "model_gone", "resume_refused", "straggler"],
        FaultTable.OfAttempts.Select(fault => fault.ToWireName()).Distinct());

    [Fact]
    public void CostsRetryBudget_OnlyFaultsOfTheEngine() => Assert.Equal(
        [Fault.EngineStall, Fault.EngineFailed, Fault.EngineTimedOut, Fault.EngineBusy, Fault.EngineKeyRefused, Fault.NoFinish, Fault.ProtocolError],
        Enum.GetValues<Fault>().Where(fault => fault.CostsRetryBudget()));

    [Fact]
    public void FromReplica_WhatAReplicaSends_IsReadAsWhatItMeant() => Assert.All(
        FaultTable.All.Where(row => row.Reason is not null), row => Assert.Equal(row.Fault, FaultTable.FromReplica(row.Status!.Value, row.Reason)));

    [Theory]
    [InlineData(StatusCode.InvalidArgument, null, Fault.InvalidRequest)]
    [InlineData(StatusCode.InvalidArgument, "A_LATER_REASON", Fault.InvalidRequest)]
    [InlineData(StatusCode.Unauthenticated, null, Fault.InvalidRequest)]
    [InlineData(StatusCode.PermissionDenied, null, Fault.InvalidRequest)]
    [InlineData(StatusCode.NotFound, null, Fault.ModelNotFound)]
    [InlineData(StatusCode.FailedPrecondition, null, Fault.ContextLengthExceeded)]
    [InlineData(StatusCode.DeadlineExceeded, "HOLD_REFUSED", Fault.StandbyTaken)]
    [InlineData(StatusCode.Unavailable, null, null)]
    [InlineData(StatusCode.Unavailable, "ENGINE_FAILED", null)]
    [InlineData(StatusCode.ResourceExhausted, null, null)]
    [InlineData(StatusCode.Internal, null, null)]
    [InlineData(StatusCode.Cancelled, null, null)]
    public void FromReplica_AnotherRelease_IsReadByItsStatus(StatusCode status, string? reason, Fault? expected) =>
        Assert.Equal(expected, FaultTable.FromReplica(status, reason));

    [Theory]
    [InlineData(Fault.TooManySessions, 1.0)]
    [InlineData(Fault.QueueFull, 1.0)]
    [InlineData(Fault.StreamLost, null)]
    [InlineData(Fault.ModelNotFound, null)]
    public void RetryAfter_NotComputed_IsOneSecondForRefusalsThatPass(Fault fault, double? seconds) =>
        Assert.Equal(seconds, new FaultException(fault, "no").RetryAfter?.TotalSeconds);
}
