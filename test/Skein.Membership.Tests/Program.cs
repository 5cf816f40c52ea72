using Skein.Membership.Tests;
using Skein.Membership.Tests.Sockets;

// The tests with real processes start this program as a member; the rest is what xunit would generate.
if (await MemberProcess.RunIfRequestedAsync())
    return 0;
return args.Any(static argument => argument is "-automated" or "@@")
    ? await Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args)
    : await Xunit.MicrosoftTestingPlatform.TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions);
