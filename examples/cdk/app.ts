// The function behind an HTTP API that asks for IAM, from a zip that `make package` made.
//
//   npm ci
//   npx cdk deploy -c package=../../dist/lambda-embed-bge-small-en-v1.5-x86_64.zip

import { App, CfnOutput, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { HttpApi } from "aws-cdk-lib/aws-apigatewayv2";
import { HttpIamAuthorizer } from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { Effect, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Architecture, Code, Function, LoggingFormat, Runtime } from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";

const app = new App();
const zip: string | undefined = app.node.tryGetContext("package");
if (!zip) throw new Error("name the package: cdk deploy -c package=../../dist/lambda-embed-….zip");

const stack = new Stack(app, "LambdaEmbed", { description: "Text embeddings inside AWS Lambda" });

const logGroup = new LogGroup(stack, "Logs", {
  retention: RetentionDays.ONE_MONTH,
  removalPolicy: RemovalPolicy.DESTROY,
});
const role = new Role(stack, "Role", { assumedBy: new ServicePrincipal("lambda.amazonaws.com") });
role.addToPolicy(
  new PolicyStatement({
    effect: Effect.ALLOW,
    actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
    resources: [logGroup.logGroupArn],
  }),
);

const embed = new Function(stack, "Embed", {
  runtime: Runtime.PROVIDED_AL2023,
  // The package is built for one architecture, which its name states.
  architecture: zip.endsWith("-arm64.zip") ? Architecture.ARM_64 : Architecture.X86_64,
  handler: "bootstrap",
  code: Code.fromAsset(zip),
  role,
  memorySize: 1769,
  timeout: Duration.seconds(30),
  logGroup,
  loggingFormat: LoggingFormat.JSON,
});

const api = new HttpApi(stack, "Api", {
  defaultIntegration: new HttpLambdaIntegration("Integration", embed),
  defaultAuthorizer: new HttpIamAuthorizer(),
});

new CfnOutput(stack, "Url", { value: api.apiEndpoint, description: "Where clients point; requests are signed (IAM)." });
