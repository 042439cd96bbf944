// Takes a machine through its life: creates, starts, watches, runs a command, stops, destroys.
//
// Usage: go run . APP IMAGE [COMMAND...]
//
// WINDHOVER_API is the address of an api, WINDHOVER_TOKEN a token. The code in gen/ is made by
// `buf generate`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	machines "example.com/windhover/gen/windhover/machines/v1"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: go run . APP IMAGE [COMMAND...]")
	}
	command := os.Args[3:]
	if len(command) == 0 {
		command = []string{"cat"}
	}
	if err := run(os.Args[1], os.Args[2], command); err != nil {
		log.Fatal(err)
	}
}

func run(app, image string, command []string) error {
	address := os.Getenv("WINDHOVER_API")
	if address == "" {
		address = "127.0.0.1:7070"
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	token := "Bearer " + os.Getenv("WINDHOVER_TOKEN")
	// Every call has a deadline; this one bounds them all.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token)
	client := machines.NewMachinesServiceClient(connection)

	created, err := client.CreateMachine(ctx, &machines.CreateMachineRequest{
		App:        app,
		Config:     &machines.MachineConfig{Image: image},
		SkipLaunch: true,
		// With an id the call may be repeated: the answer is the same machine.
		RequestId: fmt.Sprintf("go-%d", time.Now().UnixNano()),
	})
	if err != nil {
		return err
	}
	id := created.Machine.Id
	fmt.Println("created:", id, created.Machine.State)

	stream, err := client.WatchMachines(ctx, &machines.WatchMachinesRequest{MachineIds: []string{id}})
	if err != nil {
		return err
	}
	// The first answer is what the machine is now.
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	watched := make(chan error, 1)
	go func() { watched <- watch(stream, first) }()

	started, err := client.StartMachine(ctx, &machines.StartMachineRequest{MachineId: id})
	if err != nil {
		return err
	}
	fmt.Println("started:", id, started.Machine.State)
	if err := execute(ctx, machines.NewExecServiceClient(connection), id, command); err != nil {
		return err
	}
	if _, err := client.StopMachine(ctx, &machines.StopMachineRequest{MachineId: id}); err != nil {
		return err
	}
	if _, err := client.DestroyMachine(ctx, &machines.DestroyMachineRequest{MachineId: id}); err != nil {
		return err
	}
	if err := <-watched; err != nil {
		return err
	}
	// What an error carries: here that of a start after the end.
	_, err = client.StartMachine(ctx, &machines.StartMachineRequest{MachineId: id})
	fmt.Println("error:", status.Code(err), reasonOf(err))
	return nil
}

// watch prints the states of a machine until it is destroyed.
func watch(
	stream grpc.ServerStreamingClient[machines.WatchMachinesResponse],
	response *machines.WatchMachinesResponse,
) error {
	last := machines.MachineState_MACHINE_STATE_UNSPECIFIED
	for {
		for _, change := range response.Changes {
			state := change.Machine.State
			if state != last {
				fmt.Println("watch:", state)
			}
			last = state
			if state == machines.MachineState_MACHINE_STATE_DESTROYED {
				return nil
			}
		}
		var err error
		if response, err = stream.Recv(); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
}

// execute runs a command with a standard input, and prints what it writes.
func execute(ctx context.Context, client machines.ExecServiceClient, id string, command []string) error {
	stream, err := client.ExecMachine(ctx)
	if err != nil {
		return err
	}
	start := &machines.ExecMachineRequest_Start{Start: &machines.ExecStart{Command: command, Stdin: true}}
	for _, request := range []*machines.ExecMachineRequest{
		{MachineId: id, Message: start},
		{Message: &machines.ExecMachineRequest_Stdin{Stdin: []byte("hello\n")}},
		{Message: &machines.ExecMachineRequest_StdinEnd{StdinEnd: true}},
	} {
		if err := stream.Send(request); err != nil {
			break // Recv tells why.
		}
	}
	output := strings.Builder{}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("exec: no exit")
		}
		if err != nil {
			return fmt.Errorf("exec: %w", err)
		}
		switch message := response.Message.(type) {
		case *machines.ExecMachineResponse_Stdout:
			output.Write(message.Stdout)
		case *machines.ExecMachineResponse_Stderr:
			output.Write(message.Stderr)
		case *machines.ExecMachineResponse_Exit:
			fmt.Println("exec:", message.Exit.ExitCode, strings.TrimSpace(output.String()))
			return nil
		}
	}
}

// reasonOf returns the stable reason of an error.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return status.Code(err).String()
}
