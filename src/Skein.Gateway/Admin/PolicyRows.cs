namespace Skein.Gateway.Admin;

/// <summary>The balancing policy of a model at this gateway: a row of <c>/admin/v1/policies</c>.</summary>
public sealed record PolicyRow(string Model, string Policy)
{
    internal static IEnumerable<PolicyRow> All(FleetTracker fleet, AdmissionQueue admission) =>
        fleet.Current.KnownModels.Order(StringComparer.Ordinal).Select(model => new PolicyRow(model, admission.PolicyOf(model)));
}

/// <summary>Body of <c>POST /admin/v1/policies</c>: changes the policy of later picks at this gateway, until it is restarted.</summary>
/// <param name="Policy">Name of the policy.</param>
/// <param name="Model">A known model; absent: all models that have no policy of their own.</param>
internal sealed record PolicyBody(string? Policy = null, string? Model = null)
{
    /// <exception cref="AdminRefusedException">A value is not known.</exception>
    public void Apply(FleetTracker fleet, AdmissionQueue admission)
    {
        if (Model is not null && !fleet.Current.KnownModels.Contains(Model))
        {
            var known = string.Join(", ", fleet.Current.KnownModels.Order(StringComparer.Ordinal).Take(16));
            throw AdminRefusedException.Invalid($"model '{Model}' is not known; known are {known}");
        }
        try
        {
            admission.SetPolicy(Policy ?? "", Model);
        }
        catch (ArgumentException error)
        {
            throw AdminRefusedException.Invalid(error.Message);
        }
    }
}
