# The function behind an HTTP API that asks for IAM, from a zip that `make package` made.
#
#   terraform init
#   terraform apply -var package=../../dist/lambda-embed-bge-small-en-v1.5-x86_64.zip

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.50"
    }
  }
}

variable "package" {
  type        = string
  description = "The zip, of the same architecture as below."
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "The processor the function runs on."
  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture is x86_64 or arm64."
  }
}

variable "memory_megabytes" {
  type        = number
  default     = 1769
  description = "1769 MB buys one whole vCPU."
  validation {
    condition     = var.memory_megabytes >= 256 && var.memory_megabytes <= 10240
    error_message = "Memory goes from 256 to 10240 MB."
  }
}

variable "name" {
  type        = string
  default     = "lambda-embed"
  description = "What the function, its role and its API are called."
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = 30
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
  }
}

resource "aws_iam_role" "function" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role_policy" "logs" {
  name   = "logs"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.logs.json
}

resource "aws_lambda_function" "embed" {
  function_name    = var.name
  role             = aws_iam_role.function.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.memory_megabytes
  timeout          = 30

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function.name
  }
}

resource "aws_apigatewayv2_api" "embed" {
  name          = var.name
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "embed" {
  api_id                 = aws_apigatewayv2_api.embed.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.embed.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "embed" {
  api_id             = aws_apigatewayv2_api.embed.id
  route_key          = "$default"
  authorization_type = "AWS_IAM"
  target             = "integrations/${aws_apigatewayv2_integration.embed.id}"
}

resource "aws_apigatewayv2_stage" "embed" {
  api_id      = aws_apigatewayv2_api.embed.id
  name        = "$default"
  auto_deploy = true
}

resource "aws_lambda_permission" "api" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.embed.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.embed.execution_arn}/*/$default"
}

output "url" {
  description = "Where clients point; requests are signed (IAM)."
  value       = aws_apigatewayv2_api.embed.api_endpoint
}
