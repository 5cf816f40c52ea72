using Skein.Membership.Tests;
using Skein.Membership.Tests.Sockets;

// The tests of real kills start this very program as a member; everything else is what xunit would have generated.
if (await MemberProcess.PlayIfToldAsync())
    return 0;
return args.Any(static argument => argument is "-automated" or "@@")
    ? await Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args)
    : await Xunit.MicrosoftTestingPlatform.TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions);
