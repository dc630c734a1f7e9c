
º
	api.protoapi"'
EchoRequest
content (	Rcontent"(
EchoResponse
content (	Rcontent"*
ReverseRequest
content (	Rcontent"+
ReverseResponse
content (	Rcontent23
Echo+
Echo.api.EchoRequest.api.EchoResponse2?
Reverse4
Reverse.api.ReverseRequest.api.ReverseResponsebproto3